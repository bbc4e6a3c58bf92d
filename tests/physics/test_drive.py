"""Waveforms: values, areas, the same for numbers and tensors of times."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bayespin.physics.drive import Pulse, PulseTrain, Sine, Sum, Waveform, at, edges, largest

NS = 1e-9
WAVES = [
    Pulse(amplitude=2.0, start=1 * NS, width=3 * NS),
    Pulse(amplitude=2.0, start=1 * NS, width=3 * NS, rise=0.5 * NS),
    PulseTrain(amplitude=-1.0, start=0.5 * NS, width=1 * NS, period=2.5 * NS, count=3),
    Sine(amplitude=0.3, frequency=1e9, phase=0.2),
    Sum(parts=(0.1, Pulse(amplitude=1.0, start=0.0, width=1 * NS))),
]


@pytest.mark.parametrize("wave", WAVES, ids=lambda wave: type(wave).__name__)
def test_numbers_and_tensors_of_times_agree(wave):
    assert isinstance(wave, Waveform)
    times = torch.linspace(-1, 12, 200, dtype=torch.float64) * NS
    each = torch.tensor([at(wave, float(t)) for t in times], dtype=torch.float64)
    torch.testing.assert_close(at(wave, times), each)
    assert each.unique().numel() > 1


@given(
    start=st.floats(-5, 5), width=st.floats(0.5, 5), share=st.floats(0, 1), height=st.floats(-3, 3)
)
def test_area_of_a_pulse_is_amplitude_times_width(start, width, share, height):
    pulse = Pulse(amplitude=height, start=start, width=width, rise=share * width)
    times = torch.linspace(-6, 16, 100_001, dtype=torch.float64)
    area = torch.trapezoid(torch.as_tensor(pulse(times)), times)
    assert float(area) == pytest.approx(height * width, abs=1e-3)


def test_a_pulse_at_its_edges():
    sharp = Pulse(amplitude=5.0, start=1.0, width=2.0)
    assert [sharp(t) for t in (0.999, 1.0, 2.999, 3.0)] == [0.0, 5.0, 5.0, 0.0]
    slow = Pulse(amplitude=5.0, start=1.0, width=2.0, rise=1.0)
    assert [slow(t) for t in (1.0, 1.5, 2.0, 3.0, 3.5, 4.0)] == [0.0, 2.5, 5.0, 5.0, 2.5, 0.0]


def test_a_train_counts_its_pulses():
    train = PulseTrain(amplitude=1.0, start=1.0, width=1.0, period=4.0, count=2)
    on = [t for t in range(20) if train(t + 0.5) == 1.0]
    assert on == [1, 5]


def test_a_sine_is_a_sine():
    assert Sine(amplitude=2.0, frequency=0.25)(1.0) == pytest.approx(2.0)
    assert Sine(amplitude=2.0, frequency=0.25, phase=math.pi)(1.0) == pytest.approx(-2.0)


def test_amplitudes_may_be_tensors_and_sums_add():
    field = torch.tensor([0.0, 0.0, 3.0])
    wave = Sum(parts=(torch.tensor([1.0, 0.0, 0.0]), Pulse(amplitude=field, start=0.0, width=1.0)))
    torch.testing.assert_close(wave(0.5), torch.tensor([1.0, 0.0, 3.0]))
    torch.testing.assert_close(wave(1.5), torch.tensor([1.0, 0.0, 0.0]))


def test_constants_are_what_they_are():
    field = torch.ones(3)
    assert at(2.0, 1e-9) == 2.0
    assert at(field, 1e-9) is field
    assert at(lambda time: 3 * time, 2.0) == 6.0


def test_largest_magnitude_as_far_as_known():
    assert largest(-2.0) == 2.0
    assert largest(torch.tensor([1.0, -4.0])) == 4.0
    assert [largest(wave) for wave in WAVES] == [2.0, 2.0, 1.0, 0.3, 1.1]
    assert largest(lambda time: 1e9) == 0.0


def test_edges_are_where_a_wave_jumps_or_bends():
    pulse = Pulse(amplitude=1.0, start=1.0, width=3.0, rise=0.5)
    train = PulseTrain(amplitude=1.0, start=0.0, width=1.0, period=2.5, count=2)
    assert edges(pulse) == [1.0, 1.5, 4.0, 4.5]
    assert edges(Sum(parts=(train, 0.1))) == [0.0, 1.0, 2.5, 3.5]
    assert edges(Sine(amplitude=1.0, frequency=1.0)) == edges(2.0) == []


@pytest.mark.parametrize(
    "kind,changes,message",
    [
        (Pulse, {"width": 0.0}, "`width` must be positive, but is 0 s"),
        (Pulse, {"rise": 2.0}, "`rise` must be from 0 to the width, 1 s, but is 2 s"),
        (Pulse, {"rise": -0.1}, "`rise` must be from 0"),
        (Pulse, {"amplitude": math.nan}, "`amplitude` must be finite"),
        (PulseTrain, {"period": 0.5}, "`width` must be at most the period, 0.5 s, but is 1 s"),
        (PulseTrain, {"count": 0}, "`count` must be at least 1, but is 0"),
        (Sine, {"frequency": 0.0}, "`frequency` must be positive, but is 0 Hz"),
        (Sum, {"parts": ()}, "`parts` must hold at least one"),
    ],
)
def test_impossible_waves_are_refused(kind, changes, message):
    right = {
        Pulse: {"amplitude": 1.0, "start": 0.0, "width": 1.0},
        PulseTrain: {"amplitude": 1.0, "start": 0.0, "width": 1.0, "period": 2.0, "count": 2},
        Sine: {"amplitude": 1.0, "frequency": 1.0},
        Sum: {},
    }[kind]
    with pytest.raises(ValueError, match=message):
        kind(**{**right, **changes})
