"""Networks without the batch norms that their linear layers can take in; see `nn.folding`."""

from collections import Counter

import torch
from torch import nn

from bayespin.network.models import Network
from bayespin.nn.folding import BATCH_NORMS, folded
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.point import PointLayer


@torch.no_grad()
def fold_batch_norms(network: Network) -> Network:
    """Return a network that predicts the same, with batch norms folded into the layers they follow.

    A norm is folded where the layer before it feeds nothing else. Elsewhere it stays, and stays
    digital. The network is left as it is, and returned itself where nothing can be folded; stages
    that do not change are shared. Layers keep their names, and stand where their norms stood.

    Args:
        network: trained; running statistics of its norms are what counts.

    Raises:
        ValueError: a batch norm that `nn.folding.folded` refuses.
    """
    takers = Counter(s for sources in network.feeds.values() for s in sources)
    made, feeds = dict[str, nn.Module](), dict[str, tuple[str, ...]]()
    stands_for: dict[str, str] = {}
    for name, stage in network.stages.items():
        sources = tuple(stands_for.get(source, source) for source in network.feeds[name])
        before = made.get(sources[0]) if sources else None
        alone = len(sources) == 1 and takers[network.feeds[name][0]] == 1
        linear = isinstance(before, MeanFieldLayer | PointLayer)
        if isinstance(stage, BATCH_NORMS) and linear and alone:
            layer = sources[0]
            # At the norm's place, so that a norm that was the output leaves its layer as that.
            del made[layer]
            made[layer], feeds[layer] = folded(before, stage, name), feeds.pop(layer)
            stands_for[name] = layer
        else:
            made[name], feeds[name] = stage, sources
    return Network(made, feeds) if stands_for else network
