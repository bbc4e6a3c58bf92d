"""What a damped cosine finds of a precession that dephases, against paths and against fits."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import curve_fit

from bayespin.physics import precession, relaxation
from bayespin.rng import Key, KeyedNoise
from tests.statistical.check import mean_is

DETUNING, PATHS, STEP, STEPS = 2.0, 40_000, 0.01, 60


def lagged_products():
    """z(t) z*(0) of an amplitude that turns by I/2Δ less: dz = (−1 + iδ|z|²/2) z dt + √2 dW."""
    noise = KeyedNoise.from_key(Key.root(0).child("paths"))
    draws = noise.normal(torch.empty(2, PATHS, dtype=torch.float64)) / math.sqrt(2)
    start = torch.complex(*draws)
    z = start.clone()
    kick = math.sqrt(1 - math.exp(-2 * STEP))
    for place in range(STEPS):
        again = KeyedNoise.from_key(Key.root(0).child("steps", place))
        draws = again.normal(torch.empty(2, PATHS, dtype=torch.float64)) / math.sqrt(2)
        turned = z * torch.polar(torch.ones(PATHS).double(), DETUNING * z.abs().square() * STEP / 2)
        z = turned * math.exp(-STEP) + kick * torch.complex(*draws)
    return z * start.conj()


def test_the_envelope_is_that_of_turning_paths():
    """Power: the error of a mean is 0.004, so that 3 % of |E| = 0.42 is seen; bias: the step."""
    found = lagged_products()
    expected = complex(precession.envelope(np.array([STEP * STEPS]), DETUNING)[0])
    for part, exact in ((found.real, expected.real), (found.imag, expected.imag)):
        mean_is(part, exact, bias=0.003)
    plain = math.exp(-STEP * STEPS)  # as if nothing dephased
    with pytest.raises(AssertionError):
        mean_is(found.real, plain, bias=0.003)


@pytest.mark.parametrize("stability", [20.0, 60.0, 300.0])
def test_time_and_frequency_are_those_of_a_fitted_cosine(stability):
    omega, damping = torch.tensor(2 * math.pi * 2e9), 0.02
    linear = 1 / (damping * omega)
    time, hertz = precession.fitted_precession(
        linear.double(), omega.double(), torch.tensor(stability, dtype=torch.float64)
    )
    x = np.linspace(0, 4 * float(time), 4000)
    envelope = precession.envelope(x / float(linear), 1 / (damping * stability))
    memory = (envelope * np.exp(-1j * float(omega) * x)).real
    (decay, turns), _ = curve_fit(
        lambda t, tau, f: np.exp(-t / tau) * np.cos(2 * math.pi * f * t), x, memory,
        p0=(float(time), float(hertz)),
    )  # fmt: skip
    assert float(time) == pytest.approx(decay, rel=0.01)
    assert float(hertz) == pytest.approx(turns, rel=1e-3)
    tail = relaxation.precession_memory(linear, omega, torch.tensor(stability))
    assert float(tail) < float(time) < float(linear)


def test_a_stiff_layer_does_not_dephase():
    one = torch.ones((), dtype=torch.float64)
    time, hertz = precession.fitted_precession(one, 100 * one, 1e7 * one)
    assert float(time) == pytest.approx(1.0, abs=1e-6)
    assert float(hertz) == pytest.approx(100 / (2 * math.pi), rel=2e-5)
