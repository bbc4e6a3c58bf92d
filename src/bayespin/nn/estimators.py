"""How the randomness of Gaussian weights enters one forward pass.

The three have the same mean and variance per output and differ in what is shared:

| estimator | a weight draw is shared by | sampling semantics |
|---|---|---|
| `reparameterised` | all images and positions of the call | `frozen` |
| `flipout` | all, behind random signs per image and channel | training only |
| `local_reparameterised` | nothing: each output element has its own draw | `per_read` |

Sources: reparameterisation arXiv:1312.6114, Flipout arXiv:1803.04386, local reparameterisation
arXiv:1506.02557.
"""

from collections.abc import Callable
from enum import Enum
from typing import Protocol, runtime_checkable

from bayespin.cite import cites
from bayespin.nn.product import Product
from bayespin.rng import Noise
from bayespin.shapes import Tensor


@runtime_checkable
class GaussianLayer(Protocol):
    """What an estimator needs of a layer with Gaussian weights."""

    @property
    def product(self) -> Product:
        """The linear map."""
        ...

    @property
    def mean(self) -> Tensor:
        """Means of the weights."""
        ...

    @property
    def bias(self) -> Tensor:
        """Deterministic biases."""
        ...

    def sigma(self) -> Tensor:
        """Return the weights' standard deviations."""
        ...

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of the output."""
        ...

    def draw(self, moments: tuple[Tensor, Tensor], noise: Noise) -> Tensor:
        """Return one output with these moments."""
        ...


Estimator = Callable[[GaussianLayer, Tensor, Noise], Tensor]


@cites("arXiv:1312.6114")
def reparameterised(layer: GaussianLayer, x: Tensor, noise: Noise) -> Tensor:
    """Return x · (μ + σ ε) + b with one ε for the whole call."""
    weight = layer.mean + layer.sigma() * noise.normal(layer.mean)
    return layer.product.apply(x, weight) + layer.product.per_output(layer.bias)


@cites("arXiv:1803.04386")
def flipout(layer: GaussianLayer, x: Tensor, noise: Noise) -> Tensor:
    """Return x·μ + ((x∘s)·(σ ε))∘r + b, with random signs s, r per image and channel.

    Signs make the perturbations of different images uncorrelated at the cost of one more product.
    """
    product = layer.product
    mean = product.apply(x, layer.mean) + product.per_output(layer.bias)
    perturbation = layer.sigma() * noise.normal(layer.mean)
    shaken = product.apply(x * noise.normal(product.signs_like(x)).sign(), perturbation)
    return mean + shaken * noise.normal(product.signs_like(shaken)).sign()


@cites("arXiv:1506.02557")
def local_reparameterised(layer: GaussianLayer, x: Tensor, noise: Noise) -> Tensor:
    """Return E y + √(Var y) ε with an independent ε for each output element."""
    return layer.draw(layer.moments(x), noise)


class Sampling(Enum):
    """What one Monte-Carlo pass shares; named in every result, never mixed in one."""

    FROZEN = "frozen"
    """One weight draw per pass, shared by all images and positions: what software does."""
    PER_READ = "per_read"
    """A new draw at every read of every cell: what free-running devices do."""
    CORRELATED = "correlated"
    """Reads remember each other by each cell's own correlation time; only on a chip."""


ESTIMATORS: dict[str, Estimator] = {
    "reparameterised": reparameterised,
    "flipout": flipout,
    "local_reparameterised": local_reparameterised,
}

SAMPLING_ESTIMATOR: dict[Sampling, Estimator] = {
    Sampling.FROZEN: reparameterised,
    Sampling.PER_READ: local_reparameterised,
}
