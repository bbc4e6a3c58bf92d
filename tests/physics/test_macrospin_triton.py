"""The fused kernel against its plain torch twin, and what both of them read.

The kernel itself runs in a process of its own: on CUDA where there is a device, else interpreted by
Triton on the CPU, which is slow, so the runs are short. Without Triton those tests are skipped.
"""

import importlib.util
import json
import math
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

from bayespin.physics import macrospin, macrospin_triton
from bayespin.physics.drive import Pulse, PulseTrain, Sine
from bayespin.physics.free_layer import FreeLayer
from bayespin.physics.macrospin import Macrospins
from bayespin.physics.macrospin_triton import Form, _Fields
from bayespin.physics.spin_torque import SpinTorque
from bayespin.rng import CounterNoise

ROOT = Path(__file__).resolve().parents[2]
CUDA = torch.cuda.is_available()
needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton is not installed"
)


def run(program: Path, **environment: str) -> dict:
    done = subprocess.run(
        [sys.executable, str(program)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def runs() -> dict:
    program = Path(__file__).with_name("fused_runs.py")
    return run(program) if CUDA else run(program, TRITON_INTERPRET="1")


@needs_triton
def test_the_kernel_draws_the_numbers_of_counter_noise(runs):
    """Words bit for bit, those of `tl.philox` too; normals but for the last digits of a root."""
    assert runs["words"]
    assert runs["normals"] < 2e-6


@needs_triton
@pytest.mark.parametrize("case", ["steady", "driven", "devices"])
def test_the_kernel_follows_its_twin(runs, case):
    """Eight steps in float32, where two orders of the same sums differ by a few 1e-7."""
    assert runs[case] < 2e-6
    assert runs["other noise"] > 0.01


@needs_triton
def test_the_kernel_follows_its_twin_in_double_precision(runs):
    """The noise has float32's digits whatever the dtype: 1e-7 of 8 steps of 0.04 each."""
    assert runs["double"] < 5e-8


@needs_triton
def test_any_split_gives_the_same_bits(runs):
    assert runs["equal"]
    assert all(runs["equal"].values()), runs["equal"]


@needs_triton
@pytest.mark.skipif(CUDA, reason="measured there instead")
def test_the_compiled_loop_leaves_room_above_what_is_promised(bench):
    """2e10 steps/s, 60 % of the bound: a Hopper must allow 3.4e10, and memory must not be touched.

    Noise costs 20 wide products at least, fewer where a word is the same for all lanes or steps.
    """
    found = run(ROOT / "bench" / "physics_cuda.py", TRITON_INTERPRET="0")
    assert min(found["bounds"].values()) == found["bounds"]["issue"] > 3.4e10
    assert found["loop"]["FFMA"] > 100
    assert found["loop"]["IMAD"] >= 2 * 15
    assert not {"LDG", "STG", "LDL", "STL", "CALL"} & set(found["loop"])


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("physics_cuda", ROOT / "bench/physics_cuda.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["physics_cuda"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["physics_cuda"]


MACHINE_CODE = """
--:-:-:-:1	MOV R1, c[0x0][0x28];
LBB1:
--:-:-:Y:4	ISETP.GE.AND P1, PT, R0, 0x1, PT;
LBB0:
--:-:-:Y:4	FFMA R2, R3, R4, R5;
01:-:-:Y:4	@!P1 LOP3.LUT R2, R3, R4, RZ, 0x3c, !PT;
--:-:0:-:1	MUFU.RSQ R2, R2;
--:-:-:Y:5	@P0 BRA LBB0;
--:-:-:Y:5	@P1 BRA LBB1;
LBB2:
--:-:-:Y:0	BRA LBB2;
"""


def test_the_roofline_counts_the_inner_loop(bench):
    loop = bench.inner_loop(MACHINE_CODE)
    assert loop == Counter(FFMA=1, LOP3=1, MUFU=1, BRA=1)
    found = bench.bounds(loop, 2, bench.Processor(10, 1e9))
    assert found == {
        "issue": 128 / 4 * 2e10, "float": 128 * 2e10, "integer": 64 * 2e10, "special": 16 * 2e10
    }  # fmt: skip


def real(*values):
    return torch.tensor(values, dtype=torch.float64)


def spins(**changes):
    """Two operating points with every term that the kernel knows, driven in every way."""
    torque = SpinTorque(
        direction=real(0.0, 0.6, 0.8),
        damping_like=Sine(amplitude=5e-3, frequency=2e10),
        field_like=PulseTrain(amplitude=2e-3, start=4e-12, width=4e-12, period=8e-12, count=2),
    )
    driven = {
        "effective_anisotropy": Pulse(
            amplitude=real(-3e4, 2e4)[:, None], start=6e-12, width=8e-12, rise=4e-12
        ),
        "in_plane_anisotropy": Pulse(amplitude=2e3, start=2e-12, width=6e-12),
        "applied_field": Pulse(amplitude=real(0.01, 0.02, 0.005), start=1e-12, width=9e-12),
        "spin_torques": (torque,),
        "temperature": 300.0,
    }
    layer = FreeLayer(saturation_magnetisation=1e6, diameter=50e-9, thickness=1e-9, damping=0.1)
    return Macrospins(layer=layer, time_step=2e-12, **{**driven, **changes})


STEADY = {
    "effective_anisotropy": real(-3e4, 2e4)[:, None],
    "in_plane_anisotropy": 2e3,
    "applied_field": real(0.01, 0.02, 0.005),
    "spin_torques": (
        SpinTorque(direction=real(0.0, 0.6, 0.8), damping_like=3e-3, field_like=1e-3),
    ),
}


def field_of(row, m):
    """b + K_z m_z ẑ + K_x m_x x̂ + m×q from one row (8 points) for m (points 3 replicas)."""
    row, q = row[..., None], row[5:].T[..., None]
    stiff = torch.stack((row[4] * m[:, 0], 0 * m[:, 1], row[3] * m[:, 2]), 1)
    return row[:3].movedim(0, 1) + stiff + torch.cross(m, q.expand_as(m), dim=1)


@pytest.mark.parametrize("changes", [{}, STEADY], ids=["driven", "steady"])
def test_rows_are_the_field_at_both_stages_of_each_step(changes):
    parameters, m = spins(**changes), CounterNoise(0, real(0).new_empty(2, 3, 5))(0)
    steps = range(3, 9)
    rows = _Fields.of(parameters, m).rows(steps)
    times = [index * 2e-12 + late for index in steps for late in (0.0, 2e-12)]
    assert len(rows) == (1 if changes else len(times))
    for row, time in zip(rows.expand(len(times), *rows.shape[1:]), times, strict=True):
        exact = macrospin.effective_field(parameters, m, time)
        torch.testing.assert_close(field_of(row, m), exact, atol=1e-15, rtol=1e-12)


def test_replicas_that_differ_have_a_row_each():
    m = torch.zeros(2, 3, 5)
    each = real(1e4, 2e4)[:, None] * torch.linspace(0.9, 1.1, 5)
    fields = _Fields.of(spins(effective_anisotropy=each, spin_torques=()), m)
    assert fields.width == 5
    stiffness = fields.rows(range(2))[:, 3].reshape(4, 2, 5)
    torch.testing.assert_close(stiffness, (2e-6 * each).float().expand(4, 2, 5))


def test_thermal_field_of_the_kernel():
    """√(2αkT/(γ M_s V Δt)) for each point; zero where it is cold."""
    fields = _Fields.of(spins(temperature=real(0.0, 300.0)[:, None]), torch.zeros(2, 3, 5))
    volume = math.pi / 4 * 50e-9**2 * 1e-9
    power = 2 * 0.1 * 1.380649e-23 * 300 / (1.76085963e11 * 1e6 * volume * 2e-12)
    assert fields.thermal().tolist() == pytest.approx([0.0, math.sqrt(power)], rel=1e-6)


def test_launches_are_cut_where_tables_grow():
    assert _Fields.of(spins(**STEADY), torch.zeros(2, 3, 5)).limit == 8192
    wide = torch.zeros(2, 3, 5).expand(1000, 2, 3, 5)
    assert _Fields.of(spins(), wide).limit == 2**22 // (16 * 2000)


def test_small_ensembles_are_spread_over_the_device():
    assert Form.fitting(12 * 1024) == Form(32, 1)
    assert Form.fitting(10**6) == Form(256, 4)


def test_fields_that_are_not_linear_are_refused():
    torque = SpinTorque(direction=real(0.0, 0.6, 0.8), damping_like=3e-3, asymmetry=1.5)
    with pytest.raises(ValueError, match="`parameters` must give a field of the form b"):
        _Fields.of(spins(spin_torques=(torque,)), torch.zeros(2, 3, 5)).rows(range(1))


def test_mistakes_are_one_sentence():
    m, parameters = torch.zeros(2, 3, 5), spins()
    m[:, 2] = 1
    noise = CounterNoise(0, m)
    assert not macrospin_triton.available(m.device)
    with pytest.raises(ValueError, match=r"be on a CUDA device.*is on cpu: use `macrospin.sim"):
        macrospin_triton.simulate(parameters, m, noise, range(4))
    with pytest.raises(ValueError, match=r"`noise` must be for the shape of m, \(2, 3, 4\)"):
        macrospin_triton.simulate(parameters, m[..., :4], noise, range(4))
    with pytest.raises(ValueError, match=r"`steps` must be one or more times 3 steps"):
        macrospin_triton.simulate(parameters, m, noise, range(4), 3)
    with pytest.raises(ValueError, match="must have the operating points"):
        macrospin_triton.simulate(parameters, m[0], CounterNoise(0, m[0]), range(4))
