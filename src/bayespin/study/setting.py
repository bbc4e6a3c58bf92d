"""What all seeds of a study of images share: its chip, its data, its folder."""

from dataclasses import dataclass, replace

import torch

from bayespin.chip.accelerator import Accelerator
from bayespin.nn.mean_field import SigmaWindow
from bayespin.study import data, image_sets, networks
from bayespin.study.evaluate import TestSet
from bayespin.study.schema import Study
from bayespin.study.store import RunFolder
from bayespin.study.watch import Watch


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What all seeds of a run share."""

    study: Study
    chip: Accelerator
    window: SigmaWindow
    folder: RunFolder
    train: data.Images
    calibration: torch.Tensor
    test: TestSet
    foreign: data.Foreign
    device: torch.device
    watch: Watch


def setting_of(study: Study, folder: RunFolder, foreign: data.Foreign, watch: Watch) -> Setting:
    """Read the data of a study that was prepared; a CUDA device has one worker.

    Raises:
        InputError: data that cannot be read.
    """
    train, test = image_sets.read(study.data)
    device = networks.device_of(study)
    used, kept = study.data.training_images, study.data.training_images - study.data.held_out
    chip = study.hardware.accelerator()
    held = train.images[used - reserved(study) : used]
    return Setting(
        study=study,
        chip=chip,
        window=study.training.window(chip.cell),
        folder=folder,
        train=data.Images(images=train.images[:kept], labels=train.labels[:kept]),
        calibration=held[: study.hardware.calibration_images],
        test=image_sets.judged(study, test, foreign.images),
        foreign=foreign,
        device=device,
        watch=watch if device.type == "cpu" else replace(watch, workers=1),
    )


def reserved(study: Study) -> int:
    """Return the number of images to calibrate on: those held out, or else the training images."""
    return study.data.held_out if study.data.held_out else study.data.training_images
