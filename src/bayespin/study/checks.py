"""What a study asks of its chip and network beyond what single fields allow."""

from bayespin.chip.accelerator import Accelerator
from bayespin.network.architectures import lenet5
from bayespin.rng import Key
from bayespin.study.schema import Study


def check_chip(study: Study, chip: Accelerator) -> None:
    """Refuse what this chip cannot do, before any work.

    Raises:
        ValueError: reads to be learnt in another coding than amplitudes, or layers to be sliced
            that the network does not have.
    """
    if study.training.aware_epochs and chip.layout.coding != "amplitude":
        raise ValueError(
            f"`hardware.coding` must be amplitude where `training.aware_epochs` is not 0, but is "
            f"{chip.layout.coding}."
        )
    layers = list(lenet5(Key.root(0)).random_layers())
    unknown = [name for name in study.hardware.sliced if name not in layers]
    if unknown:
        raise ValueError(
            f"`hardware.sliced` must name layers of the network, {', '.join(layers)}, but names "
            f"{', '.join(unknown)}."
        )
