"""From a layer's trained Gaussians to what its cells should hold: full scale and gain.

The choice minimises the divergence from what the cells can hold to the trained posterior,

    Σ ln(σ/σ') + (σ'² + δ²) / (2 σ²) − 1/2,

with σ' the nearest spread the cells offer and δ² the expected squared error of the mean. Small
full scales clip means and narrow the σ window, large ones round coarsely; large gains widen the
window and amplify the pillars' own Johnson and shot noise; small input scales clip activations,
large ones leave weak drives that drown in read noise. The divergence weighs all of it in the
posterior's own units. Read noise is part of σ': what it already supplies, the pillars need not.
"""

from dataclasses import dataclass

import torch

from bayespin.cell.interface import GaussianCell, WantedCells, held_sigma, sigma_level
from bayespin.shapes import Float, Tensor

_WEIGHT_FRACTIONS = (*(0.1 + 0.025 * i for i in range(37)), *(1.1**i for i in range(1, 23)))
"""Full scales to choose from, as fractions of the largest |μ|: 0.1 to 1, and on to 8 for wide σ."""
_INPUT_QUANTILES = (0.98, 0.99, 0.995, 0.999, 1.0)
"""Input scales to choose from, as quantiles of the active inputs."""
_MOST_OUTSIDE = 0.5
"""Share of weights outside the window beyond which a layer is refused."""
_TOLERANCE = 2.0
"""Factor beyond the window that is counted and reported, but is no reason to refuse a layer."""


@dataclass(frozen=True, kw_only=True)
class InputStatistics:
    """What a layer's calibration inputs x look like when `scale` is the largest drive.

    With u = min(x/scale, 1): `clipping` = E[(x/scale − u)²] / E[u²] and `noise` =
    E[h(u)] / (h(1) E[u²]), the read noise's power against the signal's, both over all inputs.
    """

    scale: float
    clipping: float
    noise: float


@dataclass(frozen=True, kw_only=True)
class LayerMapping:
    """How one layer is put on cells, and how many of its weights do not fit."""

    layer: str
    weights: int
    weight_max: float
    gain: float
    input_scale: float
    read_noise: float
    """Equivalent spread of read noise over weight_max, averaged over calibration inputs."""
    window: tuple[float, float]
    """Floor and cap of σ in weight units, read noise included."""
    clipped: int
    """Means beyond ± weight_max."""
    below_floor: int
    above_cap: int

    @property
    def outside_window(self) -> int:
        """Number of weights with σ below the floor or above the cap."""
        return self.below_floor + self.above_cap


def input_statistics(
    x: Tensor, code_noise: Float[Tensor, " codes"], full: Float[Tensor, ""] | None = None
) -> list[InputStatistics]:
    """Return statistics of calibration inputs for several input scales: quantiles and maximum.

    Args:
        x: the layer's inputs, not negative.
        code_noise: h of every DAC code.
        full: h(1) of a whole window at the full voltage; the last of `code_noise` if not given.
    """
    most = code_noise[-1] if full is None else full
    values = x.flatten().double()
    stride = max(1, len(values) // 200_000)  # enough for quantiles of 0.1 %
    values = values[::stride]
    active = values[values > 0]
    if len(active) == 0:
        return [InputStatistics(scale=1.0, clipping=0.0, noise=1.0)]
    steps, found = len(code_noise) - 1, []
    for scale in active.quantile(torch.tensor(_INPUT_QUANTILES, dtype=torch.float64)).tolist():
        drive = (values / scale).clamp_max(1)
        power = float(drive.square().mean())
        heat = code_noise.double()[(drive * steps).round().long()].mean()
        found.append(
            InputStatistics(
                scale=scale,
                clipping=float((values / scale - drive).square().mean()) / power,
                noise=float(heat / most) / power,
            )
        )
    return found


def choose(
    name: str,
    mean: Float[Tensor, "..."],
    sigma: Float[Tensor, "..."],
    cell: GaussianCell,
    inputs: list[InputStatistics],
) -> LayerMapping:
    """Return the mapping of one layer with the least divergence.

    Args:
        name: of the layer, for messages.
        mean: trained means μ.
        sigma: trained standard deviations σ, of the same shape.
        cell: what holds a weight.
        inputs: from `input_statistics`, one per input scale to choose from.

    Raises:
        ValueError: values that are not finite, or all means zero.
    """
    _require_finite(name, mean, sigma)
    largest = float(mean.abs().max())
    gains = cell.column_gains
    scales = largest * torch.tensor(_WEIGHT_FRACTIONS, dtype=torch.float64)
    law, offers = _Posterior.of(mean, sigma), [_Offer.of(cell, gain) for gain in gains]
    losses = torch.stack([law.loss_in_cells(o, scales, s) for o in offers for s in inputs], dim=1)
    losses += law.loss_by_clipping(scales)[:, None]
    best, option = divmod(int(losses.argmin()), losses.shape[1])
    weight_max, offer = float(scales[best]), offers[option // len(inputs)]
    gain, statistics = gains[option // len(inputs)], inputs[option % len(inputs)]
    noise = offer.read_noise * statistics.noise**0.5
    held = held_sigma(offer.levels, noise) * weight_max
    floor, cap = float(held[0]), float(held[-1])
    return LayerMapping(
        layer=name,
        weights=mean.numel(),
        weight_max=weight_max,
        gain=gain,
        input_scale=statistics.scale,
        read_noise=noise,
        window=(floor, cap),
        clipped=int((mean.abs() > weight_max).sum()),
        below_floor=int((sigma < floor).sum()),
        above_cap=int((sigma > cap).sum()),
    )


def wanted_cells(mean: Tensor, sigma: Tensor, mapping: LayerMapping) -> WantedCells:
    """Return what the cells should hold, as (rows, outputs) fractions of the full scale.

    Args:
        mean: trained means, outputs first.
        sigma: trained standard deviations, outputs first.
        mapping: from `choose`.
    """
    rows = mean.flatten(1).T.double() / mapping.weight_max
    return WantedCells(
        mean=rows.clamp(-1, 1),
        sigma=sigma.flatten(1).T.double() / mapping.weight_max,
        read_noise=mapping.read_noise,
    )


@dataclass(frozen=True, kw_only=True)
class _Offer:
    """What the cell offers at one gain, as fractions of the full scale."""

    levels: Tensor
    read_noise: float
    mean_error: Tensor
    """Of each level."""

    @classmethod
    def of(cls, cell: GaussianCell, gain: float) -> "_Offer":
        return cls(
            levels=cell.sigma_levels(gain, cell.environment.programming_temperature),
            read_noise=cell.read_noise(gain),
            mean_error=cell.mean_error(gain),
        )


@dataclass(frozen=True, kw_only=True)
class _Posterior:
    """A layer's Gaussians, sorted into bins of σ with the sums that the divergence needs."""

    sigma: Tensor
    count: Tensor
    mean_square: Tensor
    magnitudes: Tensor
    precision: Tensor

    @classmethod
    def of(cls, mean: Tensor, sigma: Tensor) -> "_Posterior":
        values, precision = sigma.flatten().double(), sigma.flatten().double().pow(-2)
        edges = torch.logspace(
            float(values.min().log10()) - 1e-9, float(values.max().log10()) + 1e-9, 65
        ).double()
        bins = torch.bucketize(values, edges[1:-1])
        size = torch.zeros(64, dtype=torch.float64)
        squares = mean.flatten().double().square() * precision
        return cls(
            sigma=(edges[1:] * edges[:-1]).sqrt(),
            count=size.index_add(0, bins, torch.ones_like(values)),
            mean_square=squares.sum(),
            magnitudes=mean.flatten().double().abs(),
            precision=precision,
        )

    def loss_by_clipping(self, scales: Float[Tensor, " scales"]) -> Float[Tensor, " scales"]:
        """Return what the means lose in nats for being cut off at each full scale."""
        # One scale after another: a table of scales by weights would not fit for wide layers.
        beyond = [(self.magnitudes - s).clamp_min(0).square() for s in scales]
        return torch.stack([(b * self.precision).sum() / 2 for b in beyond])

    def loss_in_cells(
        self, offer: "_Offer", scales: Float[Tensor, " scales"], inputs: InputStatistics
    ) -> Float[Tensor, " scales"]:
        """Return the rest of the divergence in nats: held σ, rounded means, clipped inputs."""
        noise, wanted = offer.read_noise * inputs.noise**0.5, self.sigma / scales[:, None]
        level = sigma_level(wanted, offer.levels, noise)
        held = held_sigma(offer.levels, noise)[level]
        shape = (wanted / held).log() + (held / wanted).square() / 2 - 0.5
        rounding = (offer.mean_error[level] / wanted).square()
        by_sigma = ((shape + rounding / 2) * self.count).sum(1)
        return by_sigma + inputs.clipping * self.mean_square / 2


def _require_finite(name: str, mean: Tensor, sigma: Tensor) -> None:
    for label, tensor in (("means", mean), ("standard deviations", sigma)):
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(
                f"Layer `{name}` must have finite {label}, but holds NaN or infinity; "
                f"train the network anew or repair its checkpoint."
            )
    if not bool((mean != 0).any()):
        raise ValueError(f"Layer `{name}` must have a mean other than zero, but all are zero.")
    if not bool((sigma > 0).all()):
        raise ValueError(f"Layer `{name}` must have positive σ, but its smallest is {sigma.min()}.")


def require_fit(mapping: LayerMapping, sigma: Tensor) -> None:
    """Refuse σ that the device cannot hold: most weights far outside the window of the best choice.

    Args:
        mapping: from `choose`.
        sigma: trained standard deviations.

    Raises:
        ValueError: most are below half the floor or above twice the cap.
    """
    floor, cap = mapping.window[0] / _TOLERANCE, mapping.window[1] * _TOLERANCE
    outside = int(((sigma < floor) | (sigma > cap)).sum())
    if outside > _MOST_OUTSIDE * mapping.weights:
        raise ValueError(
            f"Layer `{mapping.layer}` must have σ within what the device can hold, "
            f"{mapping.window[0]:.3g} to {mapping.window[1]:.3g} at a weight range of "
            f"±{mapping.weight_max:.3g}, but {outside} of its {mapping.weights} "
            f"weights are far off (σ from {float(sigma.min()):.3g} to {float(sigma.max()):.3g}); "
            f"train with a σ window."
        )
