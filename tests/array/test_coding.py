"""Codings against double integrals over their drives, and against cells that fluctuate in time."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bayespin.array import coding as codings
from bayespin.array.coding import Amplitude, BitSerial, Features, PulseWidth, coded_variance
from bayespin.cell.interface import ProgrammedCells
from bayespin.rng import Key, KeyedNoise
from tests.statistical.check import required_samples, variance_is
from tests.statistical.faults import Fault
from tests.statistical.power import check_fails

WINDOW, BITS = 1e-8, 4
STEPS = 2**BITS - 1
SLOW, FAST = 14.2e-9, 0.47e-9
ALL = [
    Amplitude(bits=BITS, window=WINDOW),
    PulseWidth(bits=BITS, window=WINDOW),
    BitSerial(bits=BITS, window=WINDOW),
    BitSerial(bits=BITS, window=WINDOW, gap=0.4 * WINDOW, digitised=True),
]


def named(coding):
    return f"{type(coding).__name__}-{getattr(coding, 'gap', 0.0):.0e}"


each = pytest.mark.parametrize("coding", ALL, ids=named)


def course(coding, code, points):
    """w(t) of a code as drawn on paper: times of the midpoints, and the drive at each."""
    if isinstance(coding, BitSerial):
        per = points // coding.bits
        inside = (torch.arange(per, dtype=torch.float64) + 0.5) / per * coding.window
        starts = [b * (coding.window + coding.gap) for b in range(coding.bits)]
        drives = [float(code >> b & 1) * 2**b / STEPS for b in range(coding.bits)]
        times = torch.cat([start + inside for start in starts])
        return times, torch.tensor(drives, dtype=torch.float64).repeat_interleave(per)
    times = (torch.arange(points, dtype=torch.float64) + 0.5) / points * coding.window
    x = code / STEPS
    drive = x if isinstance(coding, Amplitude) else (times < x * coding.window).double()
    return times, torch.ones_like(times) * drive


def integral(times, drive, tau):
    kernel = torch.exp(-(times[:, None] - times).abs() / tau)
    return float(drive @ kernel @ drive)


@each
@pytest.mark.parametrize("tau", [1e-9, 4.7e-9, SLOW])
def test_fluctuation_is_the_double_integral_over_the_drive(coding, tau):
    points = 60 * STEPS
    found = coding.fluctuation(torch.tensor(tau, dtype=torch.float64))
    windows = coding.bits if isinstance(coding, BitSerial) else 1
    times, _ = course(ALL[0], STEPS, points // windows)
    whole = integral(times, torch.ones_like(times), tau)
    assert float(found[0]) == 0.0
    for code in (1, 5, 6, 11, STEPS):
        exact = integral(*course(coding, code, points), tau) / whole
        # The midpoint rule errs by (step/τ)²/12 of a diagonal share: below 2e-4 here.
        assert float(found[code]) == pytest.approx(exact, rel=1e-3)


def test_limits_of_fast_and_frozen_cells():
    x = torch.arange(STEPS + 1, dtype=torch.float64) / STEPS
    squares = [sum(4**b for b in range(BITS) if k >> b & 1) / STEPS**2 for k in range(STEPS + 1)]
    fast, frozen = torch.tensor(0.0), torch.tensor(1.0)
    for coding in ALL:
        torch.testing.assert_close(coding.fluctuation(frozen), x.square(), rtol=1e-6, atol=1e-15)
    torch.testing.assert_close(ALL[1].fluctuation(fast), x, rtol=1e-5, atol=1e-15)
    for coding in ALL[2:]:
        exact = torch.tensor(squares, dtype=torch.float64)
        torch.testing.assert_close(coding.fluctuation(fast), exact, rtol=1e-3, atol=0)


def test_known_figures_of_eight_bits():
    """physics.md §8: fresh slices leave 0.336 of x² at 255; short pulses are 1.30 times noisier."""
    fresh = BitSerial(bits=8, window=WINDOW).fluctuation(torch.tensor(1e-15))
    assert float(fresh[255]) == pytest.approx(0.336, abs=5e-4)
    pulse = PulseWidth(bits=8, window=WINDOW).fluctuation(torch.tensor(4.7e-9))
    assert math.sqrt(float(pulse[26])) / (26 / 255) == pytest.approx(1.30, abs=5e-3)


@pytest.mark.parametrize("ends", [(FAST, SLOW), (0.0, 1e-6), (4.7e-9, 4.7e-9)])
@pytest.mark.parametrize("bits", [1, 4, 8])
def test_nodes_keep_the_variance_of_every_cell_at_every_code(ends, bits):
    """At correlation times that the fit never saw, the stated error holds and is half a percent."""
    share = torch.rand(300, generator=Key.root(bits).generator(), dtype=torch.float64)
    low, high = (math.log(max(end, 1e-6 * WINDOW)) for end in ends)
    time = torch.exp(low + (high - low) * share)
    for kind in (Amplitude, PulseWidth, BitSerial):
        coding = kind(bits=bits, window=WINDOW)
        features = Features.fit(torch.tensor(ends, dtype=torch.float64), coding)
        fast = torch.einsum("nt,nc->tc", features.shares(time), features.table)
        exact = coding.fluctuation(time)
        error = float((fast[:, 1:] / exact[:, 1:] - 1).abs().max())
        assert error <= features.error * 1.01 + 1e-9
        assert features.error <= codings.FEATURE_ERROR
        if ends == (FAST, SLOW):
            most = {Amplitude: 1, PulseWidth: 5, BitSerial: 3}
            assert len(features.time) <= most[kind]


def fluctuating_cells(rows=4):
    """Two pillars and a quiet track on each weight, all with times of their own."""
    shape = (3, rows, 1)
    draw = Key.root(rows).child("cells").generator()
    spread = 0.5 + torch.rand(shape, generator=draw, dtype=torch.float64)
    time = torch.exp(math.log(FAST) + 3.4 * torch.rand(shape, generator=draw, dtype=torch.float64))
    spread[2], time[2] = 0.0, 0.0
    gains = torch.tensor([2.0, -1.0, 1.0], dtype=torch.float64)
    return ProgrammedCells(
        conductance=spread + 5, spread=spread, correlation_time=time, gains=gains,
        noise_gains=gains.square(),
    )  # fmt: skip


CODES = torch.tensor([[1, 5, -10, 3]])


def scores(coding):
    """Reads of cells over the square root of the law's variance; 4 % of the variance is seen."""
    cells, count = fluctuating_cells(), required_samples(math.sqrt(2), 0.04)
    noise = KeyedNoise.from_key(Key.root(7).child(named(coding)))
    draws = codings.brute_force(CODES.expand(count, -1), cells, coding, noise)
    return draws / coded_variance(cells, coding).of(CODES.double()).sqrt()


@each
def test_cells_in_time_have_the_variance_of_the_law(coding):
    variance_is(scores(coding), 1.0, bias=codings.FEATURE_ERROR)


@pytest.mark.parametrize("wrong", [ALL[0], ALL[2]], ids=named)
def test_the_variance_of_another_coding_is_seen(wrong):
    """A pulse-width read judged by the law of amplitude, or of bit-serial inputs."""
    fault = Fault(
        "coding's own law",
        "bayespin.array.coding:PulseWidth.fluctuation",
        lambda _: lambda _, time: wrong.fluctuation(time),
    )
    check_fails(lambda: variance_is(scores(ALL[1]), 1.0, bias=codings.FEATURE_ERROR), fault)


def test_one_node_serves_amplitude_coding_and_gives_the_plain_sum():
    cells = fluctuating_cells()
    found = coded_variance(cells, ALL[0])
    assert found.error < 1e-12
    exact = (CODES.double() / STEPS).square() @ cells.deviation.square()
    torch.testing.assert_close(found.of(CODES.double()), exact, rtol=1e-12, atol=0)


def test_silent_cells_have_no_variance():
    mean = torch.ones(4, 2, dtype=torch.float64)
    cells = ProgrammedCells.differential(mean, 0 * mean, load=2.0)
    for coding in ALL:
        assert not bool(coded_variance(cells, coding).of(CODES.double()).any())


@each
def test_read_noise_is_that_of_the_stretches(coding):
    """White noise: variances h of every stretch's own voltage, times what the stretch counts."""
    amplitude = 0.3 + torch.linspace(0, 1, STEPS + 1, dtype=torch.float64).square()
    found = coding.read_noise(amplitude)
    assert float(found[STEPS]) == pytest.approx(
        float(amplitude[-1])
        * (sum(4**b for b in range(BITS)) / STEPS**2 if coding in ALL[2:] else 1)
    )
    for code in range(STEPS + 1):
        x = code / STEPS
        hand = {
            0: float(amplitude[code]),
            1: x * float(amplitude[-1]) + (1 - x) * float(amplitude[0]),
            2: sum(4**b * float(amplitude[-(code >> b & 1)]) for b in range(BITS)) / STEPS**2,
        }[min(ALL.index(coding), 2)]
        assert float(found[code]) == pytest.approx(hand, rel=1e-12)


@each
def test_work_is_the_square_of_the_voltage_over_time(coding):
    for code in range(STEPS + 1):
        times, drive = course(coding, code, 4 * STEPS)
        voltage = (drive > 0).double() if isinstance(coding, BitSerial) else drive
        windows = coding.slices
        hand = float(voltage.square().mean()) * windows
        assert float(coding.work()[code]) == pytest.approx(hand, abs=1e-12)
        assert float(times[-1]) < coding.duration


@each
def test_the_mean_of_a_read_is_the_code(coding):
    """What a cell of one siemens integrates over its window."""
    x = torch.arange(STEPS + 1, dtype=torch.float64) / STEPS
    torch.testing.assert_close(coding.pulses().drive.sum(1), x, rtol=1e-12, atol=1e-15)


def test_slices_and_conversions():
    assert [(c.slices, c.conversions) for c in ALL] == [(1, 1), (1, 1), (4, 1), (4, 4)]


@given(st.integers(1, 12), st.data())
def test_planes_make_up_the_code(bits, data):
    code = data.draw(st.integers(0, 2**bits - 1))
    serial = BitSerial(bits=bits, window=WINDOW)
    planes = serial.planes(torch.tensor([float(code)]))
    assert [int(p) for p in planes[:, 0]] == [code >> b & 1 for b in range(bits)]
    assert float(serial.weights @ planes[:, 0].double()) == pytest.approx(code / (2**bits - 1))


def test_refusals():
    with pytest.raises(ValueError, match=r"`bits` must be 1 to 16 for this coding, but is 17\."):
        Amplitude(bits=17, window=WINDOW)
    for kind in (PulseWidth, BitSerial):
        with pytest.raises(ValueError, match=r"`bits` must be 1 to 12"):
            kind(bits=13, window=WINDOW)
        with pytest.raises(ValueError, match=r"`window` must be positive and finite, but is 0"):
            kind(bits=8, window=0.0)
    with pytest.raises(ValueError, match="`gap` must be finite and not negative"):
        BitSerial(bits=8, window=WINDOW, gap=-1e-9)
