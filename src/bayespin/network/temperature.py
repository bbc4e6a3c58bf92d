"""Temperature: logits divided by one number after training, inside the last layer's weights.

A loss that draws once asks every single read to be right. The mean over many reads is then less
sure than it could be, and a temperature below 1 makes good for it.
"""

from bayespin.cite import cites
from bayespin.network.models import Network
from bayespin.nn.mean_field import MeanFieldLayer


@cites("arXiv:1706.04599")
def tempered(network: Network, temperature: float) -> Network:
    """Return the network with logits of all reads divided by a temperature T.

    The last layer holds μ/T, σ/T and b/T. A chip scales its full scale with them, so that cells
    hold what they held; software and hardware stay one network. T is for held-out images to choose:
    what makes known images surer does so with foreign ones, too.

    Args:
        network: whose output is a mean-field layer; other layers are shared.
        temperature: T, positive; below 1 predictions are surer.

    Raises:
        ValueError: a temperature that is not positive, or another kind of output.
    """
    if not temperature > 0:
        raise ValueError(f"Argument `temperature` must be positive, but is {temperature}.")
    last = network.stages[network.output]
    if not isinstance(last, MeanFieldLayer):
        raise ValueError(
            f"Argument `network` must end in a mean-field layer to be tempered, but ends in a "
            f"{type(last).__name__}."
        )
    colder = MeanFieldLayer.holding(
        last.product,
        last.mean / temperature,
        last.sigma() / temperature,
        last.bias / temperature,
        last.prior_sigma,
    )
    return network.with_stages({**dict(network.stages.items()), network.output: colder})
