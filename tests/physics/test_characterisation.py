"""A junction characterised against equilibrium laws and the Fokker-Planck rate."""

import dataclasses
import math

import pytest
import torch
from scipy import integrate

from bayespin.physics import llg, macrospin
from bayespin.physics.characterisation import (
    Settings,
    boltzmann_law,
    ensemble_statistics,
    sampling_times,
)
from bayespin.physics.ensemble import Execution
from bayespin.physics.free_layer import FreeLayer, thermal_energy
from bayespin.physics.relaxation import fokker_planck_rate, free_diffusion_time
from bayespin.rng import Key
from tests.statistical.check import ALPHA, LEDGER, Ledger

LAYER = FreeLayer(saturation_magnetisation=1e6, diameter=50e-9, thickness=2.2e-9, damping=0.1)
PRESET = dataclasses.replace(LAYER, damping=0.02)
ENERGY = thermal_energy(300.0)
BARRIERS = torch.tensor([-40.0, -6.0, 0.0, 2.0], dtype=torch.float64)
SETTINGS = Settings(
    layer=LAYER,
    anisotropy=BARRIERS * ENERGY / LAYER.volume,
    temperature=300.0,
    duration=60e-9,
    replicas=512,
)


def exact_std(barrier):
    def moment(order):
        return integrate.quad(lambda u: u**order * math.exp(barrier * (u * u - 1)), -1, 1)[0]

    return math.sqrt(moment(2) / moment(0)) if barrier > -30 else math.sqrt(-1 / (2 * barrier))


@pytest.fixture(scope="module")
def found(seed):
    return ensemble_statistics(SETTINGS, Key.root(seed).child("characterise"))


def spreads_are_those_of_boltzmann(found, ledger=LEDGER):
    """Four settings at one ALPHA together; z of 5.5 leaves room for errors from 512 batches.

    The allowance is half of 1 %, what the time step may take from a variance. Power: an error of
    s is 0.3 % and 1 %, so that a noise power wrong by 10 % is seen at the first two.
    """
    ledger.charge(ALPHA)
    for barrier, value, error in zip(
        BARRIERS.tolist(), found.std.value, found.std.standard_error, strict=True
    ):
        off = abs(float(value) - exact_std(barrier)) - 0.005 * exact_std(barrier)
        assert off < 5.5 * float(error), barrier


def test_spreads_and_laws_are_those_of_boltzmann(found):
    spreads_are_those_of_boltzmann(found)
    assert bool((found.distance.value < 2 * found.distance.resolution + 0.002).all())
    assert found.excluded.tolist() == [0, 0, 0, 0]
    # Flat at σ = 0: excess kurtosis −6/5; known to 0.024 here, and 5.5 of that are 0.13.
    assert float(found.excess_kurtosis.value[2]) == pytest.approx(-1.2, abs=0.13)


def test_noise_of_the_wrong_power_is_caught(monkeypatch):
    right = llg.thermal_field_std
    monkeypatch.setattr(macrospin, "thermal_field_std", lambda *a: 1.1**0.5 * right(*a))
    wrong = ensemble_statistics(SETTINGS, Key.root(0).child("characterise"))
    with pytest.raises(AssertionError):
        spreads_are_those_of_boltzmann(wrong, Ledger(1.0))


def test_correlation_times_are_those_of_the_fokker_planck_operator(found):
    """1/λ1 is the slowest mode; at σ = −40 and 0 it is alone in m_z, and known to 2 %."""
    exact = free_diffusion_time(LAYER, 300.0) / fokker_planck_rate(BARRIERS)
    assert float(found.correlation_time.value[0]) == pytest.approx(float(exact[0]), rel=0.1)
    # The window of 6τ = 170 ns does not fit into 60 ns of a free moment.
    assert found.correlation_time.value[2].isnan()


def test_time_steps_follow_each_setting():
    """At α = 0.02: y = 0.49 for an easy axis by its damping, but 0.346 by its variance."""
    field = torch.tensor([-0.6, -0.02, 0.6, 0.02, 1e-6], dtype=torch.float64)
    settings = Settings(layer=PRESET, anisotropy=field * 1e6 / 2, temperature=300.0, duration=1e-7)
    step, interval = sampling_times(settings)
    angle = 1.76085963e11 * field.abs() * step / (1 + 0.02**2)
    assert angle[2:4].tolist() == pytest.approx([math.sqrt(0.12)] * 2, rel=1e-6)
    stable = 0.9 * 1.76085963e11 * llg.largest_stable_step(1.0, 0.02)
    assert angle[:2].tolist() == pytest.approx([stable] * 2, rel=1e-3)
    diffusion = free_diffusion_time(PRESET, 300.0)
    assert float(step[4]) == pytest.approx(diffusion / 200)
    assert float(interval[4]) == pytest.approx(diffusion / 2, rel=0.01)
    assert float(interval[0]) == pytest.approx(0.5 / (0.02 * 1.76085963e11 * 0.6), rel=0.02)


def test_a_strongly_damped_plane_is_resolved_by_its_decay():
    """α = 0.9: a = αy = 0.346, within the stable step."""
    layer = dataclasses.replace(LAYER, damping=0.9)
    settings = dataclasses.replace(SETTINGS, layer=layer, anisotropy=torch.tensor([-3e5]))
    step, _ = sampling_times(settings)
    rate = 1.76085963e11 * 0.6 / (1 + 0.9**2)
    assert float(step[0]) * rate * 0.9 == pytest.approx(math.sqrt(0.12), rel=1e-5)


@pytest.mark.parametrize("barrier", [-50.0, 0.0, 3.0])
def test_the_law_is_the_integral_of_its_density(barrier):
    law = boltzmann_law(barrier)
    values = torch.tensor([-1.0, -0.3, 0.0, 0.05, 1.0])
    whole = integrate.quad(lambda u: math.exp(barrier * u * u), -1, 1, points=[0.0])[0]
    for value, height in zip(values.tolist(), law(values).tolist(), strict=True):
        exact = integrate.quad(lambda u: math.exp(barrier * u * u), -1, value, limit=200)[0]
        assert height == pytest.approx(exact / whole, abs=1e-6)


def test_settings_keep_their_order_and_workers_change_nothing():
    few = dataclasses.replace(
        SETTINGS, anisotropy=SETTINGS.anisotropy[[2, 0, 3]], duration=3e-9, replicas=40
    )
    one = ensemble_statistics(few, Key.root(0))
    two = ensemble_statistics(few, Key.root(0), Execution(workers=2))
    assert one.std.value.equal(two.std.value)
    exact = [exact_std(barrier) for barrier in (0.0, -40.0, 2.0)]
    assert one.std.value.tolist() == pytest.approx(exact, rel=0.4)


def test_groups_of_settings_keep_their_checkpoints_apart(tmp_path):
    """Two time steps, 1:7, in one folder; the second call takes all of it from there."""
    few = dataclasses.replace(
        SETTINGS, anisotropy=SETTINGS.anisotropy[[0, 2]] * 8, duration=1e-9, replicas=32
    )
    first = ensemble_statistics(few, Key.root(0), Execution(checkpoint=tmp_path))
    again = ensemble_statistics(few, Key.root(0), Execution(checkpoint=tmp_path))
    assert len(list(tmp_path.iterdir())) == 2
    assert first.std.value.equal(again.std.value)
    assert first.std.value.equal(ensemble_statistics(few, Key.root(0)).std.value)


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="`duration` must be positive, but is 0 s"):
        dataclasses.replace(SETTINGS, duration=0.0)
    with pytest.raises(ValueError, match="`anisotropy` must be finite"):
        dataclasses.replace(SETTINGS, anisotropy=torch.tensor([math.nan]))
