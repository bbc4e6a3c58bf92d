"""Ranges of the converters: from moments without data, or from data; both clip a stated share.

Over all inputs an output of a tile, noise included, has

    E y = Σ_i E[x_i] M_ij,     Var y = Σ_ik cov(x_i, x_k) M_ij M_kj + E[Var(y | x)],

and is taken as normal. The range R of a tile is the smallest whose mean share of clipped outputs,

    Φ((−R − E y)/s) + Φ((E y − R)/s),     s² = Var y,

averaged over its outputs, is at most the wanted one. Without data, `InputMoments.independent` says
what the inputs are like. Rows that rise and fall together need their covariance: as independent
rows they have too small a range. Symbols: x drive of a row; M mean of a cell. Units: those of the
output.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch

from bayespin.array.converter import Adc, smallest_range
from bayespin.array.quantised import clipped_probability
from bayespin.shapes import Float, Tensor

_BISECTIONS = 60


@dataclass(frozen=True, kw_only=True)
class InputMoments:
    """What the drives of the rows are like, over all inputs."""

    mean: Float[Tensor, " rows"]
    covariance: Float[Tensor, "rows rows"]

    @classmethod
    def independent(
        cls, mean: Float[Tensor, " rows"], square: Float[Tensor, " rows"]
    ) -> "InputMoments":
        """Return moments of rows that know nothing of each other.

        Args:
            mean: E x of every row.
            square: E x² of every row.

        Raises:
            ValueError: a mean square below the square of the mean.
        """
        variance = square - mean.square()
        if not bool((variance >= -1e-6 * square.abs()).all()):
            raise ValueError(
                "Argument `square` must be at least the square of `mean`, but is less by "
                f"{float(-variance.min()):.3g}; give E x² of every row."
            )
        return cls(mean=mean, covariance=torch.diag(variance.clamp_min(0)))

    @classmethod
    def of(cls, drives: Float[Tensor, "reads rows"]) -> "InputMoments":
        """Return the moments of given drives."""
        mean = drives.mean(0)
        rest = drives - mean
        return cls(mean=mean, covariance=rest.T @ rest / len(drives))

    def part(self, rows: slice) -> "InputMoments":
        """Return the moments of some rows."""
        return InputMoments(mean=self.mean[rows], covariance=self.covariance[rows, rows])

    @property
    def square(self) -> Float[Tensor, " rows"]:
        """E x² of every row."""
        return self.covariance.diagonal() + self.mean.square()

    def outputs(
        self, weights: Float[Tensor, "rows outputs"], noise: Float[Tensor, " outputs"]
    ) -> tuple[Float[Tensor, " outputs"], Float[Tensor, " outputs"]]:
        """Return mean and standard deviation of the outputs of a tile, over all inputs.

        Args:
            weights: M.
            noise: E[Var(y | x)]; for amplitude coding `square` @ S², with the read noise.
        """
        spread = (weights * (self.covariance.to(weights) @ weights)).sum(0)
        return self.mean.to(weights) @ weights, (spread + noise).clamp_min(0).sqrt()


def expected_range(
    mean: Float[Tensor, "*tiles outputs"],
    deviation: Float[Tensor, "*tiles outputs"],
    clipped_share: float = 1e-4,
) -> Float[Tensor, " *tiles"]:
    """Return the range of each tile that clips this share of its outputs.

    Args:
        mean: of every output over all inputs, as from `InputMoments.outputs`.
        deviation: its standard deviation.
        clipped_share: from 0 to 1, ends excluded.

    Raises:
        ValueError: a share that is not between 0 and 1.
    """
    if not 0 < clipped_share < 1:
        raise ValueError(f"`clipped_share` must be between 0 and 1, but is {clipped_share}.")
    largest = (mean.abs() + 40 * deviation).amax(-1)
    low = torch.zeros_like(largest)
    high = largest.clamp_min(torch.finfo(mean.dtype).tiny)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        share = clipped_probability(mean, deviation, middle[..., None]).mean(-1)
        low = torch.where(share > clipped_share, middle, low)
        high = torch.where(share > clipped_share, high, middle)
    return high


@dataclass(frozen=True, kw_only=True)
class RangeReport:
    """Ranges of a layer's tiles, and what they clip."""

    layer: str
    full_range: Float[Tensor, " tiles"]
    expected_share: float | None
    """Of outputs clipped, by the closed form; None without moments."""
    observed_share: float | None
    """Of samples clipped; None without data."""
    steps_per_sigma: Float[Tensor, " tiles"] | None
    """Steps of the converter in one standard deviation of a read, averaged over the outputs."""

    def check(self, limit: float) -> None:
        """Accept the ranges if they clip no larger share.

        Raises:
            ValueError: they do.
        """
        shares = [s for s in (self.expected_share, self.observed_share) if s is not None]
        if max(shares, default=0.0) > limit:
            raise ValueError(
                f"Ranges of layer `{self.layer}` must clip at most {limit:.2g} of its outputs, but "
                f"clip {max(shares):.2g}; widen the range by calibrating on inputs like those in "
                f"use, or scale the layer's weights down."
            )

    @classmethod
    def of(
        cls,
        layer: str,
        full_range: Float[Tensor, " tiles"],
        *,
        moments: "OutputMoments | None" = None,
        samples: Float[Tensor, "tiles reads outputs"] | None = None,
    ) -> "RangeReport":
        """Return what given ranges clip.

        Args:
            layer: its name.
            full_range: R of every tile.
            moments: of the outputs, for the expected share.
            samples: noisy outputs before conversion, for the observed share.
        """
        expected = steps = observed = None
        if moments is not None:
            wide = full_range[:, None].to(moments.mean)
            expected = float(clipped_probability(moments.mean, moments.deviation, wide).mean())
            step = full_range.to(moments.mean) / moments.adc.half_steps
            steps = moments.read_deviation.mean(1) / step
        if samples is not None:
            beyond = samples.abs() > full_range[:, None, None].to(samples)
            observed = float(beyond.double().mean())
        return cls(
            layer=layer,
            full_range=full_range,
            expected_share=expected,
            observed_share=observed,
            steps_per_sigma=steps,
        )


@dataclass(frozen=True, kw_only=True)
class OutputMoments:
    """What the outputs of a layer's tiles are like, over all inputs."""

    adc: Adc
    mean: Float[Tensor, "tiles outputs"]
    deviation: Float[Tensor, "tiles outputs"]
    """Of inputs and noise together."""
    read_deviation: Float[Tensor, "tiles outputs"]
    """Of the noise of a read alone."""

    @classmethod
    def over(
        cls,
        adc: Adc,
        mean: Float[Tensor, "tiles reads outputs"],
        deviation: Float[Tensor, "tiles reads outputs"],
    ) -> "OutputMoments":
        """Return moments over given reads: those of their means, and their noise on top."""
        power, m = deviation.double().square().mean(1), mean.double()
        return cls(
            adc=adc,
            mean=m.mean(1),
            deviation=(m.var(1, correction=0) + power).sqrt(),
            read_deviation=power.sqrt(),
        )


@dataclass(frozen=True, kw_only=True)
class RangeRule:
    """How a layer's ranges are set.

    Raises:
        ValueError: a share or limit that is not between 0 and 1.
    """

    source: Literal["data", "moments"] = "data"
    """Noisy outputs of calibration inputs, or only mean and variance of these outputs."""
    clipped_share: float = 1e-4
    """Of each tile's outputs."""
    limit: float = 0.01
    """Share of the calibration's outputs beyond which a layer is refused."""

    def __post_init__(self) -> None:
        for name in ("clipped_share", "limit"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be between 0 and 1, but is {getattr(self, name)}.")


@dataclass(frozen=True, kw_only=True)
class LayerRanges:
    """Both ranges of a layer's tiles, of which one is in use."""

    rule: RangeRule
    data: RangeReport
    moments: RangeReport

    @property
    def used(self) -> RangeReport:
        """What the converters have."""
        return self.data if self.rule.source == "data" else self.moments

    @classmethod
    def find(
        cls,
        layer: str,
        moments: OutputMoments,
        samples: Float[Tensor, "tiles reads outputs"],
        rule: RangeRule,
    ) -> "LayerRanges":
        """Return the ranges of a layer.

        Args:
            layer: its name.
            moments: of the outputs.
            samples: noisy outputs before conversion.
            rule: which is used, and what it may clip.

        Raises:
            ValueError: the ranges in use clip a larger share of the samples than the rule's limit.
        """
        free = expected_range(moments.mean, moments.deviation, rule.clipped_share)
        found = cls(
            rule=rule,
            data=calibrated_ranges(layer, samples, rule.clipped_share, moments),
            moments=RangeReport.of(layer, free, moments=moments, samples=samples),
        )
        # Of what is seen, not of what a normal law expects: calibration may be a few images.
        replace(found.used, expected_share=None).check(rule.limit)
        return found


def data_free_ranges(
    layer: str, moments: OutputMoments, clipped_share: float = 1e-4
) -> RangeReport:
    """Return ranges that no data were needed for.

    Args:
        layer: its name.
        moments: of the outputs.
        clipped_share: of each tile's outputs.
    """
    ranges = expected_range(moments.mean, moments.deviation, clipped_share)
    return RangeReport.of(layer, ranges, moments=moments)


def calibrated_ranges(
    layer: str,
    samples: Float[Tensor, "tiles reads outputs"],
    clipped_share: float = 1e-4,
    moments: OutputMoments | None = None,
) -> RangeReport:
    """Return the smallest ranges that clip this share of samples, with what moments expect.

    Args:
        layer: its name.
        samples: noisy outputs before conversion.
        clipped_share: of each tile's samples.
        moments: of the outputs, if known.
    """
    found = [smallest_range(tile, clipped_share) for tile in samples]
    ranges = torch.tensor(found, dtype=samples.dtype)
    return RangeReport.of(layer, ranges, moments=moments, samples=samples)
