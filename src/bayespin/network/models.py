"""Networks: named stages, some of them random, each fed by the one before or by those it names."""

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise

import torch
from torch import nn

from bayespin.nn.estimators import Estimator
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.random_layer import RandomLayer, RandomStage
from bayespin.rng import Noise
from bayespin.shapes import Tensor

INPUT = "input"
"""Name of what a network is given, among the stages that feed others."""

Step = Callable[[str, list[Tensor]], Tensor]
"""What gives a stage's output, from its name and what feeds it."""


def applied(stage: nn.Module, taken: list[Tensor], noise: Noise, estimator: Estimator) -> Tensor:
    """Return a stage's output; only random ones take noise."""
    return stage(*taken, noise, estimator) if isinstance(stage, RandomStage) else stage(*taken)


class Network(nn.Module):
    """Named stages, in an order in which each follows what feeds it; the last is the output.

    Random stages take noise and an estimator. Where stages branch and meet again, `feeds` says
    what each takes, in the order of its arguments.

    Raises:
        ValueError: a stage called `input`, or one fed by a stage that does not stand before it.
    """

    def __init__(
        self, stages: Mapping[str, nn.Module], feeds: Mapping[str, tuple[str, ...]] | None = None
    ) -> None:
        super().__init__()
        names = [INPUT, *stages]
        given = feeds if feeds is not None else {}
        self.feeds = {name: given.get(name, (before,)) for before, name in pairwise(names)}
        for place, (name, sources) in enumerate(self.feeds.items(), start=1):
            missing = [source for source in sources if source not in names[:place]]
            if missing or name == INPUT:
                raise ValueError(
                    f"Stage `{name}` must have another name than `{INPUT}` and be fed by stages "
                    f"before it, but is fed by {', '.join(sources)}."
                )
        self.stages = nn.ModuleDict(stages)
        self.output = names[-1]
        self._last_use = {s: name for name, sources in self.feeds.items() for s in sources}

    def random_layers(self) -> dict[str, RandomLayer]:
        """Return the layers with random weights by name."""
        return {n: s for n, s in self.stages.items() if isinstance(s, RandomLayer)}

    def random_stages(self) -> dict[str, RandomStage]:
        """Return all random stages by name; empty for a deterministic network."""
        return {n: s for n, s in self.stages.items() if isinstance(s, RandomStage)}

    def with_stages(self, stages: Mapping[str, nn.Module]) -> "Network":
        """Return a network of other stages by the same names, fed in the same way."""
        return Network(stages, self.feeds)

    def forward(self, x: Tensor, noise: Noise, estimator: Estimator) -> Tensor:
        """Return logits of one pass."""
        values = {INPUT: x}
        self.through(values, self.stages, self.passing(noise, estimator))
        return values[self.output]

    def passing(self, noise: Noise, estimator: Estimator) -> Step:
        """Return the step of one pass."""

        def step(name: str, taken: list[Tensor]) -> Tensor:
            return applied(self.stages[name], taken, noise, estimator)

        return step

    def through(self, values: dict[str, Tensor], names: Iterable[str], step: Step) -> None:
        """Pass some stages, and put their outputs among the values.

        Args:
            values: outputs by name, and the network's input; what no further stage takes is
                dropped on the way.
            names: of the stages to pass, in order.
            step: gives each one's output.
        """
        for name in names:
            values[name] = step(name, [values[source] for source in self.feeds[name]])
            for source in self.feeds[name]:
                if self._last_use[source] == name:
                    values.pop(source, None)


def summed_kl(network: Network) -> Tensor:
    """Return the summed divergence of all mean-field layers to their priors, in nats."""
    terms = [s.kl() for s in network.stages.values() if isinstance(s, MeanFieldLayer)]
    return torch.stack(terms).sum() if terms else torch.zeros(())
