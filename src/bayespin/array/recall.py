"""Correlated reads on outputs: every read is drawn given the last few.

An output of inputs x adds what its cells' fluctuations ū add: y = Σ_i x_i S_i ū_i. Two reads of it
are Gaussian with the covariance

    ⟨y y'⟩ = Σ_i x_i x'_i S_i² f_i(w),

where f is the correlation of two averages of a cell's own process, w seconds apart
(`array.reads`): one product of x x' with the matrix S² f, for cells of any τ. A read given the
last L follows by conditioning on one after the other, oldest first,

    m_k ← m_k + c_kj/c_jj (y_j − m_j),    c_kl ← c_kl − c_kj c_lj / c_jj,

so covariances are exact for lags up to L, whatever the inputs do, and beyond where what lies
between tells all. L is the number of reads back that correlate by more than `NEGLIGIBLE`, at most
`MOST`: eight reads in a row are exact. Where nothing is negligible after that (τ of many periods
and inputs that change), outputs forget faster than their cells; with repeated inputs they do not.

Passes of one read over the same inputs soon follow all in the same way: then L factors and one
deviation for each output are kept, and a read costs L + 1 products of elements.

Source: Vecchia, doi:10.1111/j.2517-6161.1988.tb01729.x.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Annotated

import torch

from bayespin.array.reads import ReadSchedule, Step
from bayespin.array.tiles import RowTiles
from bayespin.shapes import Float, Tensor
from bayespin.units import Unit

MOST = 7
"""Reads back that are conditioned on at most."""
NEGLIGIBLE = 1e-2
"""Mean correlation of an output's cells below which reads are not conditioned on."""
RIDGE = 1e-6
"""Share of its variance that a read keeps to itself: far above rounding, far below a per cent."""
LEAST = 1e-30
"""Least variance of a read where gradients are wanted: the root has no slope at zero."""


@dataclass(frozen=True, kw_only=True)
class RecallingCells:
    """The cells of a layer's tiles, as successive reads see them."""

    tiles: RowTiles
    variance: Float[Tensor, "rows outputs"]
    """S² of a cell after the window."""
    time: Annotated[Float[Tensor, "rows outputs"], Unit("s")]
    """τ."""
    window: Annotated[float, Unit("s")]
    _laid_out: dict[int, Tensor | None] = field(default_factory=dict)

    def common(
        self, x: Float[Tensor, "*reads rows"], wait: float | None
    ) -> Float[Tensor, "tiles *reads outputs"] | None:
        """Return Σ x x' S² f of pairs of reads, or None where f is negligible.

        Args:
            x: product x x' of the inputs of both.
            wait: s from the end of one to the start of the other; None is a read with itself.
        """
        weights = self._weights(wait)
        if weights is None:
            return None
        return self.tiles.apply(x.reshape(-1, x.shape[-1]), weights).unflatten(1, x.shape[:-1])

    def _weights(self, wait: float | None) -> Tensor | None:
        """Return S² f, laid out, or None where it is negligible; each is made once."""
        name = -1 if wait is None else round(wait / self.window * 1e6)
        if name not in self._laid_out:
            self._laid_out[name] = self._made(wait)
        return self._laid_out[name]

    def _made(self, wait: float | None) -> Tensor | None:
        if wait is None:
            return self.tiles.lay_out(self.variance)
        f = Step.of(self.time, ReadSchedule(window=self.window, gap=wait)).correlation(1)
        shared = self.variance * f
        most = shared.sum(0) / self.variance.double().sum(0).clamp_min(1e-300)
        if float(most.max()) < NEGLIGIBLE:
            return None
        return self.tiles.lay_out(shared.to(self.variance))


@dataclass(frozen=True)
class Read:
    """One read of all outputs, as those that follow recall it."""

    end: float
    """s."""
    drive: Float[Tensor, "images rows"]
    power: Float[Tensor, "tiles images outputs"]
    """Its variance."""
    common: list[Tensor]
    """Covariance with the read before, with that before it, and so on."""
    value: Float[Tensor, "tiles images outputs"]


@dataclass
class Pass:
    """Reads one after another, and what they have in common: whatever does not depend on draws."""

    cells: RecallingCells
    drives: Float[Tensor, "reads images rows"]
    gap: Annotated[float, Unit("s")]
    """From the end of one read to the start of the next."""
    power: Float[Tensor, "tiles reads images outputs"] = field(init=False)
    _common: list[Tensor] = field(init=False)
    _each: list[Tensor] = field(init=False)
    """Drives of every read."""
    _powers: list[Tensor] = field(init=False)
    _law: "Law | None" = None
    """Of a pass of one read, when the passes before it were like it."""
    _repeated: dict[tuple[int, int, float], Tensor | None] = field(default_factory=dict)
    """What reads have in common with those of earlier passes over the same inputs."""

    def __post_init__(self) -> None:
        self._each = list(self.drives.unbind(0))
        power = self.cells.common(self.drives.square(), None)
        assert power is not None
        tiny = LEAST if power.requires_grad else torch.finfo(power.dtype).tiny
        self.power, self._common = power.clamp_min_(tiny), []
        self._powers = list(self.power.unbind(1))
        for lag in range(1, min(MOST + 1, len(self.drives))):
            pairs = self.drives[lag:] * self.drives[:-lag]
            found = self.cells.common(pairs, lag * self.gap + (lag - 1) * self.cells.window)
            if found is None:
                break
            self._common.append(found)

    def follow(
        self, past: list[Read], start: float, normal: Float[Tensor, "tiles reads images outputs"]
    ) -> list[Read]:
        """Return the reads of this pass, drawn given those before it.

        Args:
            past: reads before it, oldest first.
            start: s, of the first read.
            normal: one number for each output of each read.
        """
        reads, period = list(past), self.gap + self.cells.window
        for p, drive in enumerate(self._each):
            begins, power = start + p * period, self._powers[p]
            common = [found[:, p - lag] for lag, found in enumerate(self._common[:p], 1)]
            if len(common) == p < MOST:
                common += self._across(p, begins, islice(reversed(past), MOST - p))
            value = self._value(power, common, reads, normal[:, p])
            end = begins + self.cells.window
            reads.append(Read(end, drive, power, common, value))
        return reads[len(past) :]

    def _value(
        self, power: Tensor, common: list[Tensor], reads: list[Read], normal: Tensor
    ) -> Tensor:
        """Return a read's fluctuation given as many before it as it has something common with."""
        known = reads[len(reads) - len(common) :]
        alike = all(_alike(read.common, common) for read in known)
        if not (known and alike and len(self._each) == 1):
            return conditioned(power, common, known, normal)
        if self._law is None or not _alike(self._law.common, common):
            self._law = Law.of(power, common, known)
        return self._law.value(known, normal)

    def _across(self, p: int, begins: float, past: Iterable[Read]) -> list[Tensor]:
        """Return covariances with reads before this pass, newest first, down to the negligible."""
        found = []
        for read in past:
            shared = self._with(p, read, begins - read.end)
            if shared is None:
                break
            found.append(shared)
        return found

    def _with(self, p: int, read: Read, wait: float) -> Tensor | None:
        """Return the covariance with one read; of passes over the same inputs it is kept."""
        drive = self._each[p]
        same = next((q for q, other in enumerate(self._each) if other is read.drive), None)
        if same is None:
            return self.cells.common(drive * read.drive, wait)
        name = (p, same, round(wait / self.cells.window, 6))
        if name not in self._repeated:
            self._repeated[name] = self.cells.common(drive * read.drive, wait)
        return self._repeated[name]


def _alike(one: list[Tensor], other: list[Tensor]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))


@dataclass(frozen=True)
class Law:
    """How a read follows from those before it, where it always does so in the same way."""

    common: list[Tensor]
    shares: list[Tensor]
    """Of every read before it, oldest first."""
    deviation: Tensor

    @classmethod
    def of(cls, power: Tensor, common: list[Tensor], known: list[Read]) -> "Law":
        """Return the law: `conditioned` is linear, so ones and zeros tell its factors."""
        zero, one = torch.zeros_like(power), torch.ones_like(power)
        silent = [replace(read, value=zero) for read in known]
        shares = []
        for k, read in enumerate(known):
            single = [*silent[:k], replace(read, value=one), *silent[k + 1 :]]
            shares.append(conditioned(power, common, single, zero))
        return cls(common, shares, conditioned(power, common, silent, one))

    def value(self, known: list[Read], normal: Tensor) -> Tensor:
        """Return a read's fluctuation given those of the last reads, oldest first."""
        found = self.deviation * normal
        for share, read in zip(self.shares, known, strict=True):
            found.addcmul_(share, read.value)
        return found


def conditioned(
    power: Tensor, common: list[Tensor], known: list[Read], normal: Tensor
) -> Float[Tensor, "tiles images outputs"]:
    """Return a read's fluctuation given those of the last reads.

    Args:
        power: its variance.
        common: its covariance with the last read, with the one before, and so on.
        known: these reads, oldest first.
        normal: one number for each output.
    """
    rest = [[*reversed(read.common[:i]), read.power] for i, read in enumerate(known)]
    rest.append([*reversed(common), power])
    expected = [torch.zeros_like(power)] * len(rest)
    for s, read in enumerate(known):
        pivot = torch.add(rest[s][s], read.power, alpha=RIDGE)
        surprise = (read.value - expected[s]).div_(pivot)
        for i in range(s + 1, len(rest)):
            expected[i] = torch.addcmul(expected[i], rest[i][s], surprise)
            gain = rest[i][s] / pivot
            for j in range(s + 1, i + 1):
                rest[i][j] = torch.addcmul(rest[i][j], gain, rest[j][s], value=-1)
    return torch.addcmul(expected[-1], rest[-1][-1].clamp_min(0).sqrt_(), normal)
