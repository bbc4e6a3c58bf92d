"""Layers whose weights are independent Gaussians: the software twin of the hardware layer."""

import math
from dataclasses import dataclass

import torch
from torch import nn

from bayespin.cite import cites
from bayespin.nn.estimators import Estimator, local_reparameterised
from bayespin.nn.product import Product
from bayespin.nn.random_layer import Moments, RandomLayer, Reader
from bayespin.rng import Key, Noise
from bayespin.shapes import Float, Tensor


@dataclass(frozen=True, kw_only=True)
class SigmaWindow:
    """The standard deviations that weights may have, in weight units: a device's floor and cap.

    Raises:
        ValueError: not 0 <= floor < cap.
    """

    floor: float = 0.0
    cap: float = math.inf

    def __post_init__(self) -> None:
        if not 0 <= self.floor < self.cap:
            raise ValueError(
                f"Arguments `floor` and `cap` must satisfy 0 <= floor < cap, "
                f"but are {self.floor} and {self.cap}."
            )


def inverse_softplus(sigma: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return ρ with ln(1 + e^ρ) = σ, stable for small and large σ."""
    return sigma + torch.log(-torch.expm1(-sigma))


class MeanFieldLayer(RandomLayer):
    """A linear map with weights w ~ N(μ, σ²), σ = ln(1 + e^ρ), and a deterministic bias.

    Symbols: μ `mean`, ρ `spread`, both of the product's weight shape; `bias` (outputs).
    The prior of every weight is N(m₀, prior_sigma²), with m₀ = 0 until `assume` says otherwise.

    Source: Blundell et al., arXiv:1505.05424.
    """

    mean: nn.Parameter
    spread: nn.Parameter
    bias: Tensor
    """A parameter, or a buffer of zeros where the norm behind the layer has one."""
    prior_mean: Tensor | None
    """m₀, of the weights' shape; not part of the state, like all of the prior."""

    def __init__(self, product: Product, key: Key, prior_sigma: float = 1.0) -> None:
        """Draw μ ~ N(0, 0.1²) from `key` and set σ = 0.049 (results.md protocol: ρ = −3)."""
        super().__init__()
        self.product = product
        self.register_buffer("prior_mean", None, persistent=False)
        self.assume(prior_sigma)
        start = torch.empty(product.weight_shape)
        self.mean = nn.Parameter(start.normal_(0.0, 0.1, generator=key.generator()))
        self.spread = nn.Parameter(torch.full_like(start, -3.0))
        self.bias = nn.Parameter(torch.zeros(product.outputs))

    @classmethod
    def holding(
        cls, product: Product, mean: Tensor, sigma: Tensor, bias: Tensor, prior_sigma: float = 1.0
    ) -> "MeanFieldLayer":
        """Return a layer with these weights, trained elsewhere.

        Args:
            product: the linear map.
            mean: μ, of the product's weight shape.
            sigma: σ, of the same shape, not negative.
            bias: one per output.
            prior_sigma: of the prior.

        Raises:
            ValueError: tensors of another shape than the product's, or a negative σ.
        """
        shape = torch.Size(product.weight_shape)
        found = (mean.shape, sigma.shape, tuple(bias.shape))
        if found != (shape, shape, (product.outputs,)):
            raise ValueError(
                f"Arguments `mean`, `sigma` and `bias` must have shapes {tuple(shape)} twice and "
                f"({product.outputs},), but have {', '.join(str(tuple(f)) for f in found)}."
            )
        if not bool((sigma >= 0).all()):
            raise ValueError(
                f"Argument `sigma` must not be negative, but its smallest is {float(sigma.min())}."
            )
        layer = cls(product, Key((0,)), prior_sigma)  # its draw is overwritten
        layer.mean = nn.Parameter(mean.detach().clone())
        layer.spread = nn.Parameter(inverse_softplus(sigma.detach().double()).to(mean.dtype))
        layer.bias = nn.Parameter(bias.detach().clone())
        return layer

    def assume(self, prior_sigma: float, prior_mean: Tensor | None = None) -> None:
        """Take another prior.

        Args:
            prior_sigma: s, positive.
            prior_mean: m₀, of the weights' shape; 0 if not given.

        Raises:
            ValueError: an s that is not positive, or means of another shape or not finite.
        """
        if not prior_sigma > 0:
            raise ValueError(f"Argument `prior_sigma` must be positive, but is {prior_sigma}.")
        if prior_mean is not None:
            shape = torch.Size(self.product.weight_shape)
            if prior_mean.shape != shape or not bool(torch.isfinite(prior_mean).all()):
                raise ValueError(
                    f"Argument `prior_mean` must be finite and of shape {tuple(shape)}, but is "
                    f"not, or is of shape {tuple(prior_mean.shape)}."
                )
            prior_mean = prior_mean.detach().clone()
        self.prior_sigma, self.prior_mean = prior_sigma, prior_mean

    def from_prior_mean(self) -> Tensor:
        """Return μ − m₀."""
        return self.mean if self.prior_mean is None else self.mean - self.prior_mean

    def sigma(self) -> Tensor:
        """Return σ, of the product's weight shape."""
        return nn.functional.softplus(self.spread)

    def moments(self, x: Tensor) -> Moments:
        """Return mean and standard deviation of the output over the weights, bias included.

        For independent weights E y = Σ x μ + b and Var y = Σ x² σ², exact for any x, and y is
        Gaussian. 1e-12 under the root keeps its gradient finite where all x are zero.
        """
        mean = self.product.apply(x, self.mean) + self.product.per_output(self.bias)
        variance = self.product.apply(x.square(), self.sigma().square())
        return mean, (variance + 1e-12).sqrt()

    def draw(self, moments: Moments, noise: Noise) -> Tensor:
        """Return mean + deviation · ε."""
        mean, deviation = moments
        return torch.addcmul(mean, deviation, noise.normal(mean))

    @cites("arXiv:1505.05424")
    def kl(self) -> Tensor:
        """Return the Kullback-Leibler divergence to the prior, summed over weights, in nats.

        KL = Σ ln(s/σ) + (σ² + (μ − m₀)²)/(2 s²) − 1/2 with m₀, s mean and standard deviation of
        the prior.
        """
        sigma, s = self.sigma(), self.prior_sigma
        quadratic = (sigma.square() + self.from_prior_mean().square()) / (2 * s**2)
        return (math.log(s) - sigma.log() + quadratic - 0.5).sum()

    @torch.no_grad()
    def project(self, window: SigmaWindow, mean_limit: float = math.inf) -> None:
        """Move each σ to the nearest value inside `window`, and each |μ| to at most `mean_limit`.

        Called after an optimizer step, this is projected gradient descent: unlike a clamp inside
        the forward pass it leaves no weight without a gradient.
        """
        ends = torch.tensor([window.floor, window.cap], dtype=torch.float64)
        low, high = inverse_softplus(ends).to(self.spread.dtype).tolist()
        self.spread.clamp_(low, high)  # an open end is infinite here, and moves nothing
        self.mean.clamp_(-mean_limit, mean_limit)

    def reader(self, x: Tensor, estimator: Estimator) -> Reader:
        """Return what reads x; `estimator` says how the weights' randomness enters."""
        if estimator is local_reparameterised:
            moments = self.moments(x)
            return lambda noise: self.draw(moments, noise)
        return lambda noise: estimator(self, x, noise)
