"""What a chip does to a layer's reads, as far as training should know it.

A mean-field layer that will sit on a chip is read as

    y = Σ x̂ μ̂ + b + √( Σ x̂² (σ̂² + e²) + Σ n² H(x̂) ) ε,

with the symbols of `ReadLaw`. Read noise is part of σ, as in `nn.mapping`: what it supplies, cells
need not, so that a network trained with laws is mapped as it was trained. What rounds or saturates
passes gradients straight through; the noise is exact, so a network learns to make its signals large
where reads are noisy.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from bayespin.array.converter import Dac
from bayespin.cell.interface import held_sigma, sigma_level
from bayespin.nn.estimators import Estimator, GaussianLayer, local_reparameterised
from bayespin.nn.mean_field import SigmaWindow
from bayespin.nn.product import Product
from bayespin.rng import Noise
from bayespin.shapes import Float, Tensor


@dataclass(frozen=True, kw_only=True)
class ReadLaw:
    """How one layer will be read.

    Symbols: x̂ inputs as the drivers send them, in steps and at most `input_scale`; μ̂ within
    ± `mean_limit`; σ̂ the one of `sigma_levels` with √(σ̂² + `noise_floor`²) nearest to σ in ratio; e
    `mean_error`; n `read_noise`; H the read noise's power at a code over that at the last,
    `code_noise`.

    Raises:
        ValueError: a scale that is not positive, or levels that do not rise from above zero.
    """

    input_scale: float
    code_noise: Float[Tensor, " codes"]
    read_noise: float
    """Of one row at full drive, in units of the output."""
    mean_limit: float = torch.inf
    mean_error: float = 0.0
    """Rms error that programming leaves in a mean, in weight units."""
    sigma_levels: Float[Tensor, " levels"] | None = None
    """Spreads that cells can hold, in weight units, rising; any if not given."""
    noise_floor: float = 0.0
    """Spread of weights that the read noise stands for, over typical inputs."""

    def __post_init__(self) -> None:
        for name in ("input_scale", "mean_limit"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be positive, but is {getattr(self, name)}.")
        for name in ("read_noise", "mean_error", "noise_floor"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must not be negative, but is {getattr(self, name)}.")
        levels = self.sigma_levels
        if levels is not None and not (levels[0] > 0 and bool((levels.diff() > 0).all())):
            raise ValueError(f"`sigma_levels` must rise from above 0, but are {levels.tolist()}.")

    @property
    def window(self) -> SigmaWindow:
        """The least and the largest σ that cells and read noise hold together."""
        if self.sigma_levels is None:
            return SigmaWindow()
        held = held_sigma(self.sigma_levels, self.noise_floor)
        return SigmaWindow(floor=float(held[0]), cap=float(held[-1]))

    def driven(self, x: Tensor) -> Tensor:
        """Return x̂; inputs of either sign, as two reads would have them."""
        dac = Dac(bits=(len(self.code_noise) - 1).bit_length(), full_scale=self.input_scale)
        codes = dac.straight_through(x.abs()) * x.sign()
        return codes * (self.input_scale / dac.steps)

    def variance(self, sigma: Tensor) -> Tensor:
        """Return σ̂² + e² of trained σ."""
        wanted = sigma.square()
        if self.sigma_levels is None:
            return wanted + self.mean_error**2
        levels = self.sigma_levels.to(sigma)
        own = levels[sigma_level(sigma.detach(), levels.double(), self.noise_floor)].square()
        return wanted + (own - wanted).detach() + self.mean_error**2

    def heat(self, x: Tensor, product: Product) -> Tensor:
        """Return Σ n² H(x̂), the read noise's power in each output, broadcast over outputs."""
        one = product.one_output()
        steps = len(self.code_noise) - 1
        codes = (x.detach().abs() * (steps / self.input_scale)).round().long().clamp_max(steps)
        power = one.apply(self.code_noise.to(x)[codes], x.new_ones(one.weight_shape))
        return self.read_noise**2 * power


class _AsRead:
    """A Gaussian layer with the weights that cells can hold."""

    def __init__(self, layer: GaussianLayer, law: ReadLaw) -> None:
        self.product, self.bias, self._layer, self._law = layer.product, layer.bias, layer, law
        held = layer.mean.clamp(-law.mean_limit, law.mean_limit)
        self.mean = layer.mean + (held - layer.mean).detach()

    def sigma(self) -> Tensor:
        """Return σ̂ and e together."""
        return self._law.variance(self._layer.sigma()).sqrt()

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of the output for x̂, read noise included."""
        mean = self.product.apply(x, self.mean) + self.product.per_output(self.bias)
        variance = self.product.apply(x.square(), self._law.variance(self._layer.sigma()))
        heat = self._law.heat(x, self.product)
        return mean, (variance + heat + 1e-12).sqrt()

    def draw(self, moments: tuple[Tensor, Tensor], noise: Noise) -> Tensor:
        """Return one output with these moments."""
        return self._layer.draw(moments, noise)


def as_read(laws: Mapping[GaussianLayer, ReadLaw], estimator: Estimator) -> Estimator:
    """Return an estimator that reads layers as a chip will; those without a law as they are.

    Args:
        laws: by layer.
        estimator: what shares a draw of the weights; the read noise is always drawn anew.
    """

    def read(layer: GaussianLayer, x: Tensor, noise: Noise) -> Tensor:
        law = laws.get(layer)
        if law is None:
            return estimator(layer, x, noise)
        seen, driven = _AsRead(layer, law), law.driven(x)
        y = estimator(seen, driven, noise)
        if estimator is local_reparameterised:  # whose moments hold the read noise
            return y
        return y + law.heat(driven, layer.product).sqrt() * noise.normal(y)

    return read
