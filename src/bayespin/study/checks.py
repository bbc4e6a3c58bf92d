"""What a study asks of its chip and network beyond what single fields allow."""

from bayespin.chip.accelerator import Accelerator
from bayespin.nn.folding import BATCH_NORMS
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.rng import Key
from bayespin.study.networks import initial
from bayespin.study.schema import Study


def check_chip(study: Study, chip: Accelerator) -> None:
    """Refuse what this chip cannot do, before any work.

    Raises:
        ValueError: reads to be learnt in another coding than amplitudes, on another device than the
            CPU or with batch norms, or layers to be sliced that the network does not have.
    """
    network = initial(study, Key.root(0), MeanFieldLayer, None)
    if study.training.aware_epochs:
        _check_aware(study, chip, normed=any(isinstance(s, BATCH_NORMS) for s in network.modules()))
    layers = list(network.random_layers())
    unknown = [name for name in study.hardware.sliced if name not in layers]
    if unknown:
        raise ValueError(
            f"`hardware.sliced` must name layers of the network, {', '.join(layers)}, but names "
            f"{', '.join(unknown)}."
        )


def _check_aware(study: Study, chip: Accelerator, *, normed: bool) -> None:
    """Refuse epochs with the chip's reads in the loss where the chip's laws do not fit them."""
    if chip.layout.coding != "amplitude":
        raise ValueError(
            f"`hardware.coding` must be amplitude where `training.aware_epochs` is not 0, but is "
            f"{chip.layout.coding}."
        )
    if normed:  # a chip reads layers with their norms folded in, which training does not have
        raise ValueError(
            f"`training.aware_epochs` must be 0 for {study.architecture}, whose batch norms are "
            f"folded only on the chip, but is {study.training.aware_epochs}."
        )
    if study.device == "cuda":  # the laws of reads are the chip's, on the CPU
        raise ValueError(
            f"`device` must be cpu where `training.aware_epochs` is not 0, but is {study.device}."
        )
