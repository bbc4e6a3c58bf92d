"""Converters at the edges of an array: codes in, codes out."""

from dataclasses import dataclass

import torch

from bayespin.shapes import Float, Tensor


@dataclass(frozen=True, kw_only=True)
class Dac:
    """Row driver: x in [0, full_scale] becomes one of 2^bits equally spaced voltages.

    Raises:
        ValueError: bits outside 1 to 16, or a full scale that is not positive.
    """

    bits: int
    full_scale: float

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 16:
            raise ValueError(f"`bits` of a DAC must be 1 to 16, but is {self.bits}.")
        if not self.full_scale > 0:
            raise ValueError(f"`full_scale` must be positive, but is {self.full_scale}.")

    @property
    def steps(self) -> int:
        """Number of steps from zero to full scale: 2^bits − 1."""
        return 2**self.bits - 1

    def codes(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return whole numbers 0 … 2^bits − 1, as floats; outside the range the nearest end."""
        return (x * (self.steps / self.full_scale)).round_().clamp_(0, self.steps)

    def signed_codes(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return codes −(2^bits − 1) … 2^bits − 1 of drivers whose voltage has either sign."""
        return (x * (self.steps / self.full_scale)).round_().clamp_(-self.steps, self.steps)

    def straight_through(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return `codes` with a gradient: that of the line within the range, zero outside."""
        line = (x * (self.steps / self.full_scale)).clamp(0, self.steps)
        return line.detach().round() + (line - line.detach())  # in this order nothing rounds


@dataclass(frozen=True, kw_only=True)
class Adc:
    """Column converter: a signed mid-tread quantiser, y → Δ·round(y/Δ), clipped at ±range.

    Δ = range / (2^(bits−1) − 1). Each output may have its own range.

    Raises:
        ValueError: bits outside 2 to 16.
    """

    bits: int

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 16:
            raise ValueError(f"`bits` of an ADC must be 2 to 16, but is {self.bits}.")

    @property
    def half_steps(self) -> int:
        """Number of steps from zero to the end of the range: 2^(bits−1) − 1."""
        return 2 ** (self.bits - 1) - 1

    def convert_(self, y: Float[Tensor, "..."], full_range: Tensor) -> Float[Tensor, "..."]:
        """Quantise `y` in place and return it."""
        step = full_range / self.half_steps
        return y.div_(step).round_().clamp_(-self.half_steps, self.half_steps).mul_(step)

    def straight_through(self, y: Float[Tensor, "..."], full_range: Tensor) -> Float[Tensor, "..."]:
        """Return `convert_` of a copy, with a gradient: one within the range, zero outside it.

        By the range it is the sign of what is clipped. Behind noise of a step or more these are
        the gradients of the mean.
        """
        line = torch.minimum(torch.maximum(y, -full_range), full_range)
        return self.convert_(y.detach().clone(), full_range.detach()) + (line - line.detach())


def smallest_range(y: Float[Tensor, "..."], clipped_share: float = 1e-4) -> float:
    """Return the smallest range that clips at most `clipped_share` of the samples `y`."""
    magnitude = y.abs().flatten()
    rank = max(1, magnitude.numel() - int(magnitude.numel() * clipped_share))
    return max(float(magnitude.kthvalue(rank).values), torch.finfo(y.dtype).tiny)
