"""The image sets of studies behind one face: which files, which classes, which foreign images."""

from torch.nn.functional import pad

from bayespin.load import InputError
from bayespin.rng import Key
from bayespin.shapes import Float, Tensor
from bayespin.study import cifar, data
from bayespin.study.evaluate import TestSet
from bayespin.study.schema import Data, ImageSet, Study
from bayespin.study.shifts import pair


def classes(name: ImageSet) -> tuple[str, ...]:
    """Return the names of the classes, in the order of their labels."""
    return data.CLASSES if name == "fashion-mnist" else cifar.CLASSES


def digests(wanted: Data) -> dict[str, str]:
    """Return the SHA-256 of a set's files by its name: part of what a run is.

    Files of CIFAR-100 are read for it, and downloaded where they are nowhere.

    Raises:
        InputError: they are missing or damaged, or hold fewer images than are asked for.
    """
    if wanted.set == "fashion-mnist":
        return {wanted.set: data.digest(wanted.set)}
    place = cifar.find_cifar100(wanted.path)
    found = cifar.records(place)
    for part, field, rows in (
        ("train.bin", "training_images", found.train),
        ("test.bin", "test_images", found.test),
    ):
        if getattr(wanted, field) > len(rows):
            raise InputError(
                f"`data.{field}` must be at most {len(rows)}, the images in `{place / part}`, but "
                f"is {getattr(wanted, field)}; ask for fewer, or give the published file."
            )
    return {wanted.set: found.digest}


def read(wanted: Data) -> tuple[data.Images, data.Images]:
    """Return training and test images.

    Raises:
        InputError: files that are missing or damaged.
    """
    if wanted.set == "fashion-mnist":
        return data.fashion_mnist(data.find_fashion_mnist(wanted.path))
    return cifar.cifar100(cifar.find_cifar100(wanted.path))


def judged(
    study: Study, test: data.Images, foreign: Float[Tensor, "images 1 height width"]
) -> TestSet:
    """Return the images that predictions of a study are judged by, with their foreign partners.

    Args:
        study: says how many.
        test: all test images.
        foreign: grey images from elsewhere.
    """
    key, count = Key.root(0).child("foreign"), study.data.test_images
    strange = like(foreign, test.images)
    some = min(count, study.evaluation.ladder_images, len(strange))
    return TestSet(
        images=test.images[:count],
        labels=test.labels[:count],
        partners=pair(strange, count, key.child("pairs")),
        foreign=pair(strange, some, key.child("strangers")),
    )


def like(
    images: Float[Tensor, "images 1 height width"], example: Float[Tensor, "_ channels side side"]
) -> Float[Tensor, "images channels side side"]:
    """Return grey images in the size and channels of others: black around, grey in every channel.

    Args:
        images: grey, no larger than the others.
        example: images of the size wanted.
    """
    rows, columns = (example.shape[-2] - images.shape[-2], example.shape[-1] - images.shape[-1])
    around = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
    return pad(images, around).expand(-1, example.shape[1], -1, -1)
