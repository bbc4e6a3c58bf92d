"""Codings: how a row's drive carries its DAC code in time, and what that makes of a cell's noise.

A code k of 2^bits − 1 steps stands for x = k/steps. Whatever the coding, the mean of a read is
Σ x M. Its noise is not: a cell fluctuates while it is read (Ornstein-Uhlenbeck, with its own τ),
and the drive w(t) says when that counts,

    Var = σ² F(x),    F = ∬ w(t) w(t') e^{−|t − t'|/τ} dt dt' / (T² B(T/τ)),

σ being the cell's spread after a whole window T, T² B that of a drive of one, B(r) =
2 (r − 1 + e^{−r})/r² (`physics.relaxation.window_factor`, squared).

| coding | w(t) | F |
|---|---|---|
| amplitude | x over the window | x² |
| pulse width | 1 until xT | x² B(xT/τ)/B(T/τ): x for τ → 0, x² for τ → ∞ |
| bit-serial | 2^b x_b/steps in slice b | Σ_bd 2^{b+d} x_b x_d f(b−d)/steps² |

f are the correlations of window averages (`array.reads`): fresh slices leave Σ 4^b x_b/steps², a
third of x² at the largest code. Johnson and shot noise have no memory: with h that of one siemens,
h(x), x h(1) and Σ 4^b x_b h(1)/steps².

Fast form. F depends on a cell through τ alone, so a few nodes of τ serve all cells,

    Var y_j = Σ_n Σ_i F_n(k_i) W_nij,    W_nij = Σ_c a_c² σ_c² share_n(τ_c),

one matrix product per node; amplitude coding has one node.
Negative inputs, by a row voltage of either sign or in a second read, give F of their magnitude: a
row conducts in one of the two reads only. Source: physics.md §8; for averages of the process,
Gillespie, doi:10.1103/PhysRevE.54.2084.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol, runtime_checkable

import torch

from bayespin.array.reads import ReadSchedule, Step
from bayespin.cell.interface import ProgrammedCells
from bayespin.physics.relaxation import window_factor
from bayespin.rng import Noise
from bayespin.shapes import Float, Int, Tensor
from bayespin.units import Unit

FEATURE_ERROR = 5e-3
"""Relative error of a variance that fewer nodes may make, at any code."""
MOST_NODES = 8
MOST_BITS = 12
"""Of codings in time: a table of all codes is made for many correlation times."""
_GRID = 201
_SHORTEST = 1e-7
"""Shortest τ that is told apart, in windows."""
_FILLS = 16
"""Stretches into which the pulses of several rows are cut where they act on each other."""

CodingName = Literal["amplitude", "pulse-width", "bit-serial"]


@dataclass(frozen=True, kw_only=True)
class Pulses:
    """A coding's drive, cut into stretches of one length within which it is constant."""

    drive: Float[Tensor, "codes stretches"]
    """Drive in each stretch over the number of stretches in a window, times its digital weight."""
    schedule: ReadSchedule
    """Length of a stretch, and the gap to the next."""


@runtime_checkable
class Coding(Protocol):
    """A way to send codes into the rows."""

    @property
    def bits(self) -> int:
        """Of a code."""
        ...

    @property
    def window(self) -> float:
        """T, after which a cell has its `spread`, s."""
        ...

    @property
    def slices(self) -> int:
        """Windows that one read takes."""
        ...

    @property
    def conversions(self) -> int:
        """Conversions by the ADC that one read takes."""
        ...

    @property
    def duration(self) -> float:
        """Time from the first drive to the last, s."""
        ...

    def fluctuation(self, time: Float[Tensor, "*cells"]) -> Float[Tensor, "*cells codes"]:
        """Return F of every code, for cells with correlation times τ (s)."""
        ...

    def read_noise(self, amplitude: Float[Tensor, " codes"]) -> Float[Tensor, " codes"]:
        """Return what Johnson and shot noise of one siemens are at every code.

        Args:
            amplitude: those of amplitude coding, from `crossbar.code_noise`; what it has at code
                zero counts while a row is at zero volts.
        """
        ...

    def work(self) -> Float[Tensor, " codes"]:
        """Return the energy that a cell takes at every code, over G V² T."""
        ...

    def pulses(self) -> Pulses:
        """Return the drive in time: what `brute_force` sends."""
        ...

    def waves(self, codes: Float[Tensor, "*shape"]) -> Iterator[tuple[Tensor, float]]:
        """Return the rows' drives one after another, and how much of a window each lasts."""
        ...

    def starts(self) -> Float[Tensor, " codes"]:
        """Return how often a row is driven at every code."""
        ...

    def stretches(self, codes: Float[Tensor, "*shape"]) -> Float[Tensor, " stretches *shape"]:
        """Return drives whose sum is x, in a few stretches of time, in which rows act together."""
        ...

    def together(self, time: float) -> Float[Tensor, "stretches stretches"]:
        """Return C: rows i and k give Σ_bd C_bd x_ib x_kd of what they would with x_i x_k.

        Args:
            time: τ of the cells, s.
        """
        ...


def _together(
    time: float, schedule: ReadSchedule, count: int, window: float
) -> Float[Tensor, "stretches stretches"]:
    """Return covariances of averages over stretches, over the variance of one over the window."""
    tau = torch.tensor(time, dtype=torch.float64).clamp_min(_SHORTEST * window)
    step = Step.of(tau, schedule)
    scale = window_factor(schedule.window / tau) / window_factor(window / tau)
    lags = [torch.ones_like(tau), *(step.correlation(lag) for lag in range(1, count))]
    order = torch.arange(count)
    return torch.stack(lags)[(order[:, None] - order).abs()] * scale.square()


def _check(bits: int, window: float, most: int = MOST_BITS) -> None:
    if not 1 <= bits <= most:
        raise ValueError(f"`bits` must be 1 to {most} for this coding, but is {bits}.")
    if not 0 < window < float("inf"):
        raise ValueError(f"`window` must be positive and finite, but is {window} s.")


def _drives(bits: int) -> Float[Tensor, " codes"]:
    return torch.linspace(0, 1, 2**bits, dtype=torch.float64)


@dataclass(frozen=True, kw_only=True)
class Amplitude:
    """The row's voltage is x V over one window.

    Raises:
        ValueError: bits outside 1 to 16, or a window that is not positive.
    """

    bits: int
    window: Annotated[float, Unit("s")]

    def __post_init__(self) -> None:
        _check(self.bits, self.window, 16)

    @property
    def slices(self) -> int:
        """Windows that one read takes."""
        return 1

    @property
    def conversions(self) -> int:
        """Conversions by the ADC that one read takes."""
        return 1

    @property
    def duration(self) -> float:
        """Time from the first drive to the last, s."""
        return self.window

    def fluctuation(self, time: Float[Tensor, "*cells"]) -> Float[Tensor, "*cells codes"]:
        """Return F = x², whatever the correlation times."""
        return _drives(self.bits).square().expand(*time.shape, -1)

    def read_noise(self, amplitude: Float[Tensor, " codes"]) -> Float[Tensor, " codes"]:
        """Return h(x) as it is."""
        return amplitude

    def work(self) -> Float[Tensor, " codes"]:
        """Return x²."""
        return _drives(self.bits).square()

    def pulses(self) -> Pulses:
        """Return x in 16 stretches of one window."""
        return Pulses(
            drive=(_drives(self.bits) / 16)[:, None].expand(-1, 16),
            schedule=ReadSchedule(window=self.window / 16, gap=0.0),
        )

    def waves(self, codes: Float[Tensor, "*shape"]) -> Iterator[tuple[Tensor, float]]:
        """Return x, for the whole window."""
        yield codes / (2**self.bits - 1), 1.0

    def starts(self) -> Float[Tensor, " codes"]:
        """Return one for every code but zero."""
        return _drives(self.bits).sign()

    def stretches(self, codes: Float[Tensor, "*shape"]) -> Float[Tensor, " stretches *shape"]:
        """Return x in one stretch."""
        return (codes / (2**self.bits - 1))[None]

    def together(self, time: float) -> Float[Tensor, "stretches stretches"]:
        """Return one."""
        del time
        return torch.ones(1, 1, dtype=torch.float64)


@dataclass(frozen=True, kw_only=True)
class PulseWidth:
    """The row is at V for x T, then at zero until the window ends.

    Raises:
        ValueError: bits outside 1 to 12, or a window that is not positive.
    """

    bits: int
    window: Annotated[float, Unit("s")]

    def __post_init__(self) -> None:
        _check(self.bits, self.window)

    @property
    def slices(self) -> int:
        """Windows that one read takes."""
        return 1

    @property
    def conversions(self) -> int:
        """Conversions by the ADC that one read takes."""
        return 1

    @property
    def duration(self) -> float:
        """Time from the first drive to the last, s."""
        return self.window

    def fluctuation(self, time: Float[Tensor, "*cells"]) -> Float[Tensor, "*cells codes"]:
        """Return F = x² B(xT/τ)/B(T/τ): short pulses average less, and are noisier for it."""
        x = _drives(self.bits)
        r = (self.window / time.double().clamp_min(_SHORTEST * self.window))[..., None]
        return (x * window_factor(x * r) / window_factor(r)).square()

    def read_noise(self, amplitude: Float[Tensor, " codes"]) -> Float[Tensor, " codes"]:
        """Return x h(1), and h(0) for the rest of the window."""
        return torch.lerp(amplitude[0], amplitude[-1], _drives(self.bits).to(amplitude))

    def work(self) -> Float[Tensor, " codes"]:
        """Return x."""
        return _drives(self.bits)

    def pulses(self) -> Pulses:
        """Return one stretch for each step of the code."""
        steps = 2**self.bits - 1
        code = torch.arange(steps + 1)
        return Pulses(
            drive=(code[:, None] > torch.arange(steps)).double() / steps,
            schedule=ReadSchedule(window=self.window / steps, gap=0.0),
        )

    def waves(self, codes: Float[Tensor, "*shape"]) -> Iterator[tuple[Tensor, float]]:
        """Return which rows are driven in each step of the window."""
        steps = 2**self.bits - 1
        for step in range(steps):
            yield (codes > step).to(codes), 1 / steps

    def starts(self) -> Float[Tensor, " codes"]:
        """Return one for every code but zero."""
        return _drives(self.bits).sign()

    def stretches(self, codes: Float[Tensor, "*shape"]) -> Float[Tensor, " stretches *shape"]:
        """Return a sixteenth of the window each, in which a pulse may end: it then counts less."""
        filled = codes * (_FILLS / (2**self.bits - 1))
        return torch.stack([(filled - s).clamp(0, 1) / _FILLS for s in range(_FILLS)])

    def together(self, time: float) -> Float[Tensor, "stretches stretches"]:
        """Return how averages over sixteenths of the window belong together."""
        schedule = ReadSchedule(window=self.window / _FILLS, gap=0.0)
        return _together(time, schedule, _FILLS, self.window)


@dataclass(frozen=True, kw_only=True)
class BitSerial:
    """The row is at V in slice b if bit b of the code is set, one slice after another.

    Slices are accumulated with weights 2^b, as charges before one conversion, or as numbers after
    a conversion of each (`digitised`). Then they are successive reads of drives `planes`, for
    which `array.reads` says how their draws belong together; F is that of their sum.

    Raises:
        ValueError: bits outside 1 to 12, a window that is not positive, or a negative gap.
    """

    bits: int
    window: Annotated[float, Unit("s")]
    """Of each slice."""
    gap: Annotated[float, Unit("s")] = 0.0
    """From the end of one slice to the start of the next."""
    digitised: bool = False
    """Whether every slice is converted by itself."""

    def __post_init__(self) -> None:
        _check(self.bits, self.window)
        if not 0 <= self.gap < float("inf"):
            raise ValueError(f"`gap` must be finite and not negative, but is {self.gap} s.")

    @property
    def slices(self) -> int:
        """Windows that one read takes."""
        return self.bits

    @property
    def conversions(self) -> int:
        """Conversions by the ADC that one read takes."""
        return self.bits if self.digitised else 1

    @property
    def duration(self) -> float:
        """Time from the first drive to the last, s."""
        return self.bits * self.window + (self.bits - 1) * self.gap

    @property
    def weights(self) -> Float[Tensor, " bits"]:
        """2^b/steps: what the output of slice b counts, from the least bit."""
        return 2.0 ** torch.arange(self.bits, dtype=torch.float64) / (2**self.bits - 1)

    def planes(self, codes: Float[Tensor, "*shape"]) -> Float[Tensor, " bits *shape"]:
        """Return the bits of codes, given as whole numbers in floats, from the least."""
        left, found = codes, []
        for _ in range(self.bits):
            half = (left / 2).floor()
            found.append(left - 2 * half)
            left = half
        return torch.stack(found)

    def fluctuation(self, time: Float[Tensor, "*cells"]) -> Float[Tensor, "*cells codes"]:
        """Return F = Σ_bd 2^{b+d} x_b x_d f(b−d)/steps²."""
        drive, found = self.pulses().drive, []
        step = Step.of(time, ReadSchedule(window=self.window, gap=self.gap))
        total = drive.square().sum(1).expand(*time.shape, -1)
        for lag in range(1, self.bits):
            pairs = (drive[:, lag:] * drive[:, :-lag]).sum(1)
            found.append(2 * pairs * step.correlation(lag)[..., None])
        return sum(found, total)

    def read_noise(self, amplitude: Float[Tensor, " codes"]) -> Float[Tensor, " codes"]:
        """Return Σ 4^b h(x_b)/steps²."""
        squares = self.pulses().drive.square().sum(1).to(amplitude)
        return torch.lerp(amplitude[0], amplitude[-1], squares / squares[-1]) * squares[-1]

    def work(self) -> Float[Tensor, " codes"]:
        """Return how many bits are set."""
        return (self.pulses().drive > 0).sum(1).double()

    def pulses(self) -> Pulses:
        """Return one stretch for each slice."""
        codes = torch.arange(2**self.bits, dtype=torch.float64)
        return Pulses(
            drive=(self.planes(codes) * self.weights[:, None]).T,
            schedule=ReadSchedule(window=self.window, gap=self.gap),
        )

    def waves(self, codes: Float[Tensor, "*shape"]) -> Iterator[tuple[Tensor, float]]:
        """Return the bits, for a whole window each."""
        for plane in self.planes(codes):
            yield plane, 1.0

    def starts(self) -> Float[Tensor, " codes"]:
        """Return how many bits are set."""
        return self.work()

    def stretches(self, codes: Float[Tensor, "*shape"]) -> Float[Tensor, " stretches *shape"]:
        """Return the bits times their weights."""
        planes = self.planes(codes.detach())
        return planes * self.weights.to(planes).view(-1, *[1] * codes.ndim)

    def together(self, time: float) -> Float[Tensor, "stretches stretches"]:
        """Return how averages over slices belong together."""
        schedule = ReadSchedule(window=self.window, gap=self.gap)
        return _together(time, schedule, self.bits, self.window)


def coding_of(name: CodingName, bits: int, window: float) -> Coding:
    """Return a coding by name; bit-serial slices follow each other, and their charge adds up.

    Args:
        name: of the coding.
        bits: of a code.
        window: of a read, s; of every slice where there are slices.

    Raises:
        ValueError: more bits than a coding in time takes.
    """
    if name == "amplitude":
        return Amplitude(bits=bits, window=window)
    if bits > MOST_BITS:
        raise ValueError(
            f"`input_bits` must be at most {MOST_BITS} where `coding` is {name}, but is {bits}; "
            f"take fewer, or amplitude coding."
        )
    made = PulseWidth if name == "pulse-width" else BitSerial
    return made(bits=bits, window=window)


@dataclass(frozen=True)
class Features:
    """A few correlation times that stand for all, with F of each."""

    time: Float[Tensor, " nodes"]
    table: Float[Tensor, "nodes codes"]
    grid: Float[Tensor, " times"]
    """ln τ, at equal distances."""
    grid_shares: Float[Tensor, "times nodes"]
    """Shares of the nodes in F of these τ."""
    error: float
    """No variance is off by a larger part, at any code and τ within the grid."""

    @classmethod
    def fit(cls, time: Float[Tensor, "*cells"], coding: Coding) -> "Features":
        """Return as few nodes as keep variances within `FEATURE_ERROR`, at most `MOST_NODES`.

        One after another, each where those before it err most.
        """
        ends = torch.tensor([time.min().item(), time.max().item()], dtype=torch.float64)
        low, high = ends.clamp_min(_SHORTEST * coding.window).log()
        # Every other time is for the shares, those between them tell what interpolation misses.
        grid = torch.lerp(low, high, torch.linspace(0, 1, 2 * _GRID - 1, dtype=torch.float64))
        truth = coding.fluctuation(grid.exp())
        found, worst = cls._of([_GRID - 1], grid, truth)
        nodes = [worst] if found.error > FEATURE_ERROR else []
        while found.error > FEATURE_ERROR and len(nodes) <= MOST_NODES:
            found, worst = cls._of(nodes, grid, truth)
            nodes.append(worst)
        return found

    @classmethod
    def _of(cls, nodes: list[int], grid: Tensor, truth: Tensor) -> "tuple[Features, int]":
        """Return nodes with least squares of relative errors, and where these are largest."""
        table, wanted = truth[nodes], truth[:, 1:]
        ratio = (table[:, 1:] / wanted[::2, None]).mT
        shares = torch.linalg.lstsq(ratio, torch.ones_like(ratio[..., :1])).solution[..., 0]
        between = (shares[1:] + shares[:-1]) / 2
        all_shares = torch.cat([torch.stack([shares[:-1], between], 1).flatten(0, 1), shares[-1:]])
        errors = (all_shares @ table[:, 1:] / wanted - 1).abs().amax(1)
        found = cls(grid[nodes].exp(), table, grid[::2], shares, float(errors.max()))
        return found, int(errors.argmax())

    def shares(self, time: Float[Tensor, "*cells"]) -> Float[Tensor, " nodes *cells"]:
        """Return the share of each node in cells with these τ (s).

        A share may be negative; the variance of no cell is.
        """
        low, high = float(self.grid[0]), float(self.grid[-1])
        at = (time.double().clamp_min(1e-300).log() - low) / max(high - low, 1e-300)
        at = at.clamp(0, 1) * (len(self.grid) - 1)
        left = at.floor().clamp_max(len(self.grid) - 2).long()
        before, after = self.grid_shares[left], self.grid_shares[left + 1]
        return torch.lerp(before, after, (at - left)[..., None]).movedim(-1, 0)


@dataclass(frozen=True, kw_only=True)
class CodedVariance:
    """Var y_j = Σ_n Σ_i table_n(|k_i|) weights_nij: the fluctuations of cells under a coding."""

    table: Float[Tensor, "nodes codes"]
    weights: Float[Tensor, "nodes rows outputs"]
    """S²."""
    error: float
    """No variance is off by a larger part."""

    def of(self, codes: Float[Tensor, "images rows"]) -> Float[Tensor, "images outputs"]:
        """Return the variance of every output, S², for codes of either sign."""
        index = codes.abs().int().flatten()
        found = codes.new_zeros(len(codes), self.weights.shape[2])
        for table, weights in zip(self.table, self.weights, strict=True):
            drive = table.to(codes).index_select(0, index).view(codes.shape)
            found.addmm_(drive, weights.to(codes))
        return found


def coded_variance(cells: ProgrammedCells, coding: Coding) -> CodedVariance:
    """Return the fluctuations of programmed cells under a coding, for every tiling alike."""
    power = (cells.gains[:, None, None] * cells.spread).double().square()
    noisy = power > 0
    time = cells.correlation_time.double()
    if not bool(noisy.any()):
        time, noisy = torch.zeros_like(time), torch.ones_like(noisy)
    features = Features.fit(time[noisy], coding)
    weights = torch.zeros(len(features.time), *power.shape[1:], dtype=torch.float64)
    for column, tau in zip(power, time, strict=True):
        weights += features.shares(tau) * column
    return CodedVariance(table=features.table, weights=weights, error=features.error)


def brute_force(
    codes: Int[Tensor, "images rows"], cells: ProgrammedCells, coding: Coding, noise: Noise
) -> Float[Tensor, "images outputs"]:
    """Return what fluctuations add to one read, S: every cell has its own course in every image.

    The slow twin that tests `coded_variance`: the exact update of the process from one stretch of
    the drive to the next, two numbers per cell and stretch.

    Args:
        codes: of either sign.
        cells: spreads after the coding's window, correlation times and gains.
        coding: its `pulses` are sent.
        noise: of the cells; read noise is left out.
    """
    pulses = coding.pulses()
    step = Step.of(cells.correlation_time, pulses.schedule)
    # `Step` scales averages over a stretch to unit variance; σ belongs to a whole window.
    time = cells.correlation_time.double().clamp_min(_SHORTEST * coding.window)
    scale = window_factor(pulses.schedule.window / time) / window_factor(coding.window / time)
    weight = cells.gains[:, None, None] * cells.spread * scale
    drive = pulses.drive[codes.abs()] * codes.sign()[..., None]
    state = noise.normal(weight.new_empty(len(codes), *weight.shape))
    found = weight.new_zeros(len(codes), weight.shape[2])
    for x in drive.unbind(2):
        state, average = step.advance(state, noise)
        found += torch.einsum("bi,cij,bcij->bj", x.to(weight), weight, average)
    return found
