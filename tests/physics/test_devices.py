"""Steps stay on the device of their state, without a GPU to try: the state is on torch's "meta".

There, as on CUDA, an operation that mixes its tensors with others of the CPU fails; one that reads
a value back, for which a GPU would have to stop, fails as well.
"""

import copy
import dataclasses
import types

import pytest
import torch

from bayespin.numerics.stochastic import frozen_rk4_step, heun_step
from bayespin.physics import macrospin
from bayespin.physics.drive import Pulse
from bayespin.physics.film.film import Film
from bayespin.physics.film.mesh import Mesh
from bayespin.physics.film.operator import linear_field
from bayespin.physics.free_layer import FreeLayer
from bayespin.physics.macrospin import Macrospins
from bayespin.physics.spin_torque import SpinTorque
from bayespin.rng import CounterNoise


def moved(value):
    """Return what was prepared on the CPU as it would be on the device."""
    if isinstance(value, torch.Tensor):
        return value.to("meta")
    if isinstance(value, tuple):
        return tuple(moved(item) for item in value)
    if isinstance(value, types.FunctionType) and value.__closure__:
        cells = tuple(types.CellType(moved(cell.cell_contents)) for cell in value.__closure__)
        return types.FunctionType(
            value.__code__, value.__globals__, value.__name__, value.__defaults__, cells
        )
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        twin = copy.copy(value)
        for name, item in vars(value).items():
            object.__setattr__(twin, name, moved(item))
        return twin
    return value


def test_meta_tensors_tell_what_a_device_would():
    m = torch.zeros(3, device="meta")
    with pytest.raises(RuntimeError, match="not on the expected device"):
        m + torch.zeros(3)
    with pytest.raises(RuntimeError, match="cannot be called on meta"):
        bool(m[0] != 0)


@pytest.mark.parametrize("method", [heun_step, frozen_rk4_step])
def test_macrospins(method):
    torque = SpinTorque(
        direction=torch.tensor([0.0, 0.6, 0.8]), damping_like=torch.full((2, 1, 1), 1e-3)
    )
    parameters = Macrospins(
        layer=FreeLayer(saturation_magnetisation=1e6, diameter=5e-8, thickness=1e-9, damping=0.1),
        effective_anisotropy=Pulse(
            amplitude=torch.tensor([[1e4], [2e4]]), start=0.0, width=1e-11
        ),
        in_plane_anisotropy=torch.tensor([[1e3], [2e3]]),
        applied_field=torch.tensor([0.0, 0.0, 0.01]),
        spin_torques=(torque,),
        temperature=torch.tensor([[300.0], [0.0]]),
        time_step=1e-12,
    )  # fmt: skip
    m = torch.zeros(2, 3, 5, device="meta")
    noise = CounterNoise(3, m)
    assert macrospin.step(parameters, m, noise(7), 1e-12, method).is_meta
    assert macrospin.simulate(parameters, m, noise, range(2), method=method).is_meta
    assert macrospin.energy(parameters, m).is_meta


@pytest.mark.parametrize("evaluation", ["direct", "dense", "mirrored"])
def test_linear_fields_of_films(evaluation):
    film = Film(
        mesh=Mesh(cells=(6, 4, 2), cell=(2e-9, 2e-9, 1e-9)),
        saturation_magnetisation=1e6,
        exchange=1.3e-11,
        damping=0.02,
        uniaxial_anisotropy=7e5,
        interfacial_dmi=2.5e-4,
    )
    m = torch.zeros(5, 3, 2, 4, 6)
    field = linear_field(film.linear_field, film.mesh, m, evaluation)
    field(m, None)  # prepares what waits for the first call
    there = moved(field)(m.to("meta"), torch.zeros((3, 1, 1, 1), device="meta"))
    assert there.is_meta
    assert there.shape == m.shape
