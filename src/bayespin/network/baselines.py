"""What a Bayesian network is to be measured against: dropout at prediction, and ensembles.

| baseline | doubt comes from | costs at prediction |
| --- | --- | --- |
| `with_dropout` | inputs of layers that are missing in a pass | N passes of one network |
| `Ensemble` | networks from other starts that disagree | a pass of each of M networks |

Sources: Gal and Ghahramani, arXiv:1506.02142; Lakshminarayanan et al., arXiv:1612.01474.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from bayespin.cite import cites
from bayespin.network.metrics import Predictive, PredictiveAccumulator
from bayespin.network.models import Network
from bayespin.network.prediction import Execution, by_block, checked_passes, joined, predict_reads
from bayespin.network.training import Recipe, fit
from bayespin.nn.correlated import CorrelatedSampling
from bayespin.nn.dropout import Dropout
from bayespin.nn.estimators import Sampling
from bayespin.rng import Key
from bayespin.shapes import Float, Tensor


def with_dropout(network: Network, rates: Mapping[str, float]) -> Network:
    """Return the network with dropout behind some stages, random at prediction too.

    Args:
        network: it is left as it is, and shares its stages with the new one.
        rates: share of features to drop, by name of the stage before; the new stage is called
            NAME_dropout.

    Raises:
        ValueError: a name that is no stage, or a rate outside 0 to 1.
    """
    unknown = [name for name in rates if name not in network.stages]
    if unknown:
        raise ValueError(
            f"Argument `rates` must name stages of the network, {', '.join(network.stages)}, but "
            f"names `{unknown[0]}`."
        )
    stages, feeds = dict[str, nn.Module](), dict[str, tuple[str, ...]]()
    behind = {name: f"{name}_dropout" for name in rates}
    for name, stage in network.stages.items():
        stages[name] = stage
        feeds[name] = tuple(behind.get(source, source) for source in network.feeds[name])
        if name in behind:
            stages[behind[name]], feeds[behind[name]] = Dropout(rates[name]), (name,)
    return Network(stages, feeds)


@dataclass(frozen=True)
class Ensemble:
    """Networks that predict together, each with the same weight.

    p(y | x) = (1/M) Σ_m E_m[p(y | x, w)]; of deterministic members E_m is one pass. What is called
    epistemic is I(y; member and weights): that the members disagree, and that each doubts.

    Raises:
        ValueError: no members.
    """

    members: tuple[Network, ...]

    def __post_init__(self) -> None:
        if not self.members:
            raise ValueError("`members` must hold at least one network, but is empty.")

    @cites("arXiv:1612.01474")
    def predict(
        self,
        images: Float[Tensor, " images *shape"],
        sampling: Sampling | CorrelatedSampling,
        reads: int,
        key: Key,
        execution: Execution | None = None,
    ) -> Predictive:
        """Return the predictive distribution over members and their Monte-Carlo passes.

        Args:
            images: or other examples.
            sampling: what one pass of a random member shares.
            reads: passes of each random member. The result counts those of all members, where one
                pass of a deterministic member among random ones counts as often as theirs.
            key: of all draws; member m draws what `prediction.predict` does at ("member", m).
            execution: workers and progress.

        Raises:
            ValueError: what `prediction.predict` refuses.
        """
        execution = execution if execution is not None else Execution()
        passes = [checked_passes(member, images, reads, execution) for member in self.members]

        def one(block: int, part: Tensor) -> Predictive:
            accumulator = PredictiveAccumulator()
            for number, (member, own) in enumerate(zip(self.members, passes, strict=True)):
                drawn = key.child("member", number)
                for read in predict_reads(member, part, sampling, own, drawn, block):
                    for _ in range(max(passes) // own):
                        accumulator.add(read)
            return accumulator.result()

        return joined(by_block(images, one, execution))


@cites("arXiv:1612.01474")
def fit_ensemble(
    make: Callable[[Key], Network],
    data: tuple[Float[Tensor, " images *shape"], Tensor],
    recipe: Recipe,
    key: Key,
    members: int = 5,
    folder: Path | None = None,
) -> Ensemble:
    """Return networks trained on the same data from other starts and in other orders.

    Args:
        make: returns a network not yet trained, from the key of its start.
        data: as in `training.fit`.
        recipe: of every member.
        key: member m starts from ("start", m) and is trained with ("member", m): more members
            leave those before as they are.
        members: how many.
        folder: for a checkpoint of each member, if given.

    Raises:
        ValueError: fewer than one member, or what `training.fit` refuses.
        TrainingDiverged: a member's loss is not finite.
        InputError: a checkpoint is damaged or of another network.
    """
    if members < 1:
        raise ValueError(f"Argument `members` must be at least 1, but is {members}.")
    trained = []
    for number in range(members):
        file = folder / f"member-{number}.safetensors" if folder is not None else None
        network, own = make(key.child("start", number)), key.child("member", number)
        trained.append(fit(network, data, recipe, own, checkpoint=file))
    return Ensemble(tuple(trained))
