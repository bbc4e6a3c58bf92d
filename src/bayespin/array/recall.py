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

Source: Vecchia, doi:10.1111/j.2517-6161.1988.tb01729.x.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
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

    def __post_init__(self) -> None:
        tiny = torch.finfo(self.drives.dtype).tiny
        power = self.cells.common(self.drives.square(), None)
        assert power is not None
        self.power, self._common = power.clamp_min_(tiny), []
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
        for p, drive in enumerate(self.drives):
            begins, power = start + p * period, self.power[:, p]
            common = [found[:, p - lag] for lag, found in enumerate(self._common[:p], 1)]
            if len(common) == p < MOST:
                common += self._across(drive, begins, islice(reversed(past), MOST - p))
            value = conditioned(power, common, reads, normal[:, p])
            end = begins + self.cells.window
            reads.append(Read(end, drive, power, common, value))
        return reads[len(past) :]

    def _across(self, drive: Tensor, begins: float, past: Iterable[Read]) -> list[Tensor]:
        """Return covariances with reads before this pass, newest first, down to the negligible."""
        found = []
        for read in past:
            shared = self.cells.common(drive * read.drive, begins - read.end)
            if shared is None:
                break
            found.append(shared)
        return found


def conditioned(
    power: Tensor, common: list[Tensor], past: list[Read], normal: Tensor
) -> Float[Tensor, "tiles images outputs"]:
    """Return a read's fluctuation given those of the last reads.

    Args:
        power: its variance.
        common: its covariance with the last read, with the one before, and so on.
        past: at least as many reads, oldest first.
        normal: one number for each output.
    """
    known = past[len(past) - len(common) :]
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
