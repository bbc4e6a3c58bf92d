"""Thermal limits against their derivation, and their refusal of impossible configurations."""

import dataclasses

import pytest

from bayespin.constants import BOLTZMANN
from bayespin.cost.account import account
from bayespin.cost.components import load_components
from bayespin.cost.limits import column_energy_limit, conversion_energy_limit
from tests.cost.lenet import HARDWARE, READS, SCHEDULE, activity


@pytest.mark.parametrize(
    "bits, femtojoule", [(4, 0.0127), (6, 0.204), (8, 3.26), (10, 52), (12, 834)]
)
def test_conversion_limit_is_the_kt_over_c_bound(bits: int, femtojoule: float) -> None:
    assert conversion_energy_limit(bits, 300.0) * 1e15 == pytest.approx(femtojoule, rel=5e-3)


@pytest.mark.parametrize("rows", [1, 128, 1024])
def test_column_limit_is_independent_of_the_rows(rows: int) -> None:
    """Signal over Johnson noise of a column, computed forwards: SNR = I^2 / (4kTG / 2t)."""
    conductance, time = 10e-6, 10e-9
    snr = 1.5 * 4**8
    noise = 4 * BOLTZMANN * 300 * rows * conductance / (2 * time)
    current = (snr * noise) ** 0.5
    energy = current**2 / (rows * conductance) * time
    assert column_energy_limit(8, 300.0) == pytest.approx(energy, rel=1e-12)
    assert energy == pytest.approx(0.81e-15, rel=1e-2)


def test_too_many_bits_for_a_faint_column_are_refused() -> None:
    faint = dataclasses.replace(HARDWARE, output_conductance=1e-9, adc_bits=10)
    with pytest.raises(ValueError, match="layer `conv1` must dissipate at least 2kT"):
        account(activity(), READS, faint, SCHEDULE, load_components())


def test_a_converter_below_sampling_noise_is_refused() -> None:
    starved = dataclasses.replace(HARDWARE, supply=0.05)
    with pytest.raises(ValueError, match="must take at least 8kT"):
        account(activity(), READS, starved, SCHEDULE, load_components())


def test_the_shipped_converter_is_far_above_its_limit() -> None:
    table = load_components()
    ratio = table.adc.energy(8, 0.9) / conversion_energy_limit(8, 300.0)
    assert ratio == pytest.approx(215, rel=1e-2)
