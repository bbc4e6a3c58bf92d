"""What the hardware costs: a network on chips that have one flaw each, and on one that has all."""

from typing import Any

from bayespin.chip.accelerator import Accelerator
from bayespin.chip.non_idealities import variants
from bayespin.network import metrics
from bayespin.network.models import Network
from bayespin.network.prediction import Execution
from bayespin.rng import Key
from bayespin.shapes import Int, Tensor
from bayespin.study.shifts import blended


def decomposition(
    chip: Accelerator,
    network: Network,
    images: tuple[Tensor, Tensor, Int[Tensor, " images"], Tensor],
    reads: tuple[int, Key],
    execution: Execution | None = None,
) -> list[dict[str, Any]]:
    """Return one row per variant of the chip: accuracy, NLL, ECE, OOD ECE, energy.

    Energy is that of variants with the chip's own converters, null for others. All variants are
    made with the same key, so what differs between two of them is not the draw of
    devices that they share.

    Args:
        chip: with all its flaws.
        network: trained, in software.
        images: to calibrate on; to judge by, with their labels; partners, blended in half and half.
        reads: passes per image, and the key of devices and draws.
        execution: workers and progress.

    Raises:
        ValueError: what `non_idealities.variants` or `Accelerator.deploy` refuses.
    """
    calibration, known, labels, partners = images
    count, key = reads
    foreign, rows = blended(known, partners, 0.5), []
    for variant in variants(chip):
        twin = variant.deploy(network, calibration, key.child("chip"))
        clean, mixed = (
            twin.predict(each, count, key.child(word), execution, variant.sampling)
            for word, each in (("clean", known), ("blend", foreign))
        )
        # Converters as good as none have no price: noise alone would forbid them.
        priced = variant.chip.cell.read == chip.cell.read
        bill = twin.bill(calibration[:16], count, key.child("bill")) if priced else None
        rows.append(
            {
                "name": variant.name,
                "accuracy": metrics.accuracy(clean.mean, labels),
                "nll": metrics.nll(clean.mean, labels),
                "ece": metrics.ece(clean.mean, labels),
                "ood_ece": metrics.ece(mixed.mean, labels),
                "ood_signed_error": metrics.signed_calibration_error(mixed.mean, labels),
                "epistemic": float(clean.epistemic.mean()),
                "energy_j": None if bill is None else bill.energy_j,
            }
        )
    return rows
