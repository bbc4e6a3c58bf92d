"""Converters as they are made: offset, thermal noise, bent curves, and a saturating integrator.

The integrator's output y in steps of the ADC, v = y/Δ, becomes the code

    k = Σ_j [ clip(v, ±S) + o + n ε > t_j ],     t_j = j − ½ + L_j,   j = 1 − H … H,   minus H.

S is where the integrator saturates, o the output's offset, n thermal noise, fresh at each
conversion, L the converter's integral nonlinearity (INL). The widths of steps err independently by
the differential nonlinearity (DNL), so L is a random walk; gain and offset are trimmed such that
its first and last threshold are right: of N steps, the i-th has Var L = DNL² i (N − i)/N. No step
is narrower than zero, so that codes may be missing but never fall. Codes leave as numbers kΔ. A
DAC's ladder is made the same way. Source: IEEE Std 1241, doi:10.1109/IEEESTD.2011.5692956.
"""

from dataclasses import dataclass

import torch

from bayespin.array.converter import Adc, Dac
from bayespin.rng import Noise
from bayespin.shapes import Float, Int, Tensor


@dataclass(frozen=True, kw_only=True)
class AdcErrors:
    """How far converters of one kind differ from ideal ones.

    Raises:
        ValueError: a negative error, a DNL above one, or a saturation that is not positive.
    """

    offset: float = 0.0
    """One standard deviation over the outputs, in steps."""
    thermal_noise: float = 0.0
    """Referred to the input, rms in steps."""
    dnl: float = 0.0
    """One standard deviation of a step's width, in steps."""
    saturation: float = float("inf")
    """Largest magnitude of the integrator's output, over the converter's range."""

    def __post_init__(self) -> None:
        for name in ("offset", "thermal_noise"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(
                    f"`{name}` must be finite and not negative, but is {getattr(self, name)} steps."
                )
        _check_dnl(self.dnl)
        if not self.saturation > 0:
            raise ValueError(f"`saturation` must be positive, but is {self.saturation} ranges.")


def _check_dnl(dnl: float) -> None:
    if not 0 <= dnl <= 1:
        raise ValueError(
            f"`dnl` must be 0 to 1 steps, but is {dnl}; steps that err by more are no converter."
        )


def bent_levels(like: Float[Tensor, "converters levels"], dnl: float, noise: Noise) -> Tensor:
    """Return levels 0 … N − 1 of `like`'s shape, whose widths err, between ends that are right.

    Args:
        like: shape and dtype.
        dnl: standard deviation of a width, in steps.
        noise: one number per width.
    """
    if like.shape[1] < 2:
        return torch.zeros_like(like)
    widths = (1 + dnl * noise.normal(like[:, 1:])).clamp_min(0)
    # Scaled, which beside DNL² takes off the ends' error as subtracting it does.
    widths = widths * ((like.shape[1] - 1) / widths.sum(1, keepdim=True))
    return torch.nn.functional.pad(widths.cumsum(1), (1, 0))


@dataclass(frozen=True, kw_only=True)
class MadeAdcs:
    """The converters of one layer, each with its own errors."""

    adc: Adc
    errors: AdcErrors
    offset: Float[Tensor, "tiles outputs"]
    """Of each output, in steps."""
    thresholds: Float[Tensor, "converters levels"] | None
    """t of each converter; None where they are ideal."""
    converter: Int[Tensor, "tiles outputs"]
    """Which converter an output uses."""

    @classmethod
    def draw(
        cls, adc: Adc, errors: AdcErrors, converter: Int[Tensor, "tiles outputs"], noise: Noise
    ) -> "MadeAdcs":
        """Return one chip's converters; the same noise, the same converters.

        Args:
            adc: the ideal one.
            errors: of their kind.
            converter: index of the converter that serves an output.
            noise: offsets, then widths of steps.
        """
        like = torch.empty(converter.shape, dtype=torch.float64)
        offset, thresholds = errors.offset * noise.normal(like), None
        if errors.dnl > 0:
            count = int(converter.max()) + 1
            levels = bent_levels(like.new_empty(count, 2 * adc.half_steps), errors.dnl, noise)
            thresholds = levels + (0.5 - adc.half_steps)
        return cls(
            adc=adc, errors=errors, offset=offset, thresholds=thresholds, converter=converter
        )

    def convert(
        self,
        y: Float[Tensor, "tiles images outputs"],
        full_range: Float[Tensor, " tiles #outputs"],
        noise: Noise,
    ) -> Float[Tensor, "tiles images outputs"]:
        """Return the codes of integrators' outputs y times Δ.

        Args:
            y: what the integrators would reach without saturation.
            full_range: R of each output.
            noise: one number per conversion, where there is thermal noise.
        """
        half, errors = self.adc.half_steps, self.errors
        step = (full_range / half)[:, None].to(y)
        v = (y / step).clamp(-errors.saturation * half, errors.saturation * half)
        v += self.offset[:, None].to(y)
        if errors.thermal_noise > 0:
            v = v.add_(noise.normal(v), alpha=errors.thermal_noise)
        if self.thresholds is None:
            return v.round_().clamp_(-half, half).mul_(step)
        table = self.thresholds.to(y)[self.converter]
        codes = torch.searchsorted(table, v.mT.contiguous(), out_int32=True).mT
        return (codes.to(y) - half) * step

    def deviation(
        self,
        deviation: Float[Tensor, "tiles images outputs"],
        full_range: Float[Tensor, " tiles #outputs"],
    ) -> Float[Tensor, "tiles images outputs"]:
        """Return the standard deviation before rounding, thermal noise included.

        One draw then serves both, where the integrator saturates outside the range.
        """
        step = (full_range / self.adc.half_steps)[:, None].to(deviation)
        return torch.hypot(deviation, self.errors.thermal_noise * step)


def shared_converters(tiles: int, outputs: int, outputs_per_adc: int) -> Int[Tensor, "tiles outs"]:
    """Return the index of each output's converter: neighbours share one."""
    per_tile = -(-outputs // outputs_per_adc)
    first = torch.arange(tiles)[:, None] * per_tile
    return first + torch.arange(outputs) // outputs_per_adc


def bent_drives(dac: Dac, dnl: float, noise: Noise) -> Float[Tensor, " codes"]:
    """Return the drives, 0 to 1, of all codes of row drivers that share one ladder.

    Zero and full scale are right; the steps between err by `dnl`.

    Args:
        dac: the ideal one.
        dnl: standard deviation of a step's width, in steps.
        noise: one number per step.
    """
    _check_dnl(dnl)
    like = torch.empty(1, dac.steps + 1, dtype=torch.float64)
    return bent_levels(like, dnl, noise)[0] / dac.steps
