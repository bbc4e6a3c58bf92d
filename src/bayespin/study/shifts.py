"""Images that move away from those a network knows, rung by rung: turned, noisy, blended, foreign.

Each shift is a pure function of images; where it draws, of a key too. A ladder is the same images
at growing strengths, with their labels.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch.nn.functional import affine_grid, grid_sample

from bayespin.cite import cites
from bayespin.rng import Key
from bayespin.shapes import Float, Int, Tensor


@dataclass(frozen=True, kw_only=True)
class Rung:
    """Shifted images: `level` is degrees, σ of a pixel or a fraction, and 1 for foreign images."""

    shift: str
    level: float
    images: Float[Tensor, "images channels height width"]
    labels: Int[Tensor, " images"] | None
    """None where no class is right."""


def pair(foreign: Tensor, count: int, key: Key) -> Tensor:
    """Return `count` foreign images in keyed order, repeating the order where they are too few."""
    order = torch.randperm(len(foreign), generator=key.generator())
    return foreign[order.repeat(-(-count // len(order)))[:count]]


@cites("arXiv:1506.02142", "arXiv:1906.02530")
def rotated(
    images: Float[Tensor, "images channels height width"], degrees: float
) -> Float[Tensor, "images channels height width"]:
    """Return images turned anticlockwise about their centre, as `torch.rot90` turns them.

    y(r) = x(R(φ) r): bilinear between pixels, and zero where the square leaves the picture.

    Symbols: r position of a pixel's centre from the image's, R(φ) rotation by −φ. Multiples of 360
    degrees change nothing; others smooth what is between pixels, also where |φ| is small.

    Source: turned digits as a test of doubt, Gal and Ghahramani, arXiv:1506.02142; as a ladder,
    Ovadia et al., arXiv:1906.02530.

    Raises:
        ValueError: images that are not square, or an angle that is not finite.
    """
    height, width = images.shape[-2:]
    if height != width:
        raise ValueError(
            f"Argument `images` must be square to be turned, but is {height} x {width} pixels: "
            "pad them."
        )
    if not math.isfinite(degrees):
        raise ValueError(f"Argument `degrees` must be finite, but is {degrees}.")
    if degrees % 360 == 0:
        return images
    angle = math.radians(degrees % 360)
    turn = [[math.cos(angle), -math.sin(angle), 0.0], [math.sin(angle), math.cos(angle), 0.0]]
    each = images.new_tensor(turn).expand(len(images), 2, 3)
    grid = affine_grid(each, list(images.shape), align_corners=False)
    return grid_sample(images, grid, "bilinear", "zeros", align_corners=False)


@cites("arXiv:1903.12261")
def noisy(
    images: Float[Tensor, "images channels height width"], deviation: float, key: Key
) -> Float[Tensor, "images channels height width"]:
    """Return images with Gaussian noise in every pixel, cut off at black and white.

    y = min(max(x + σ ε, 0), 1),  ε ~ N(0, 1)

    Image i draws from `key.child(i)`: its noise depends neither on σ nor on the other images.

    Args:
        images: pixels from 0 to 1.
        deviation: σ, in units of the whole range.
        key: of the noise.

    Source: the Gaussian noise of Hendrycks and Dietterich, arXiv:1903.12261.

    Raises:
        ValueError: a negative deviation, or pixels outside 0 to 1.
    """
    if not (math.isfinite(deviation) and deviation >= 0):
        raise ValueError(f"Argument `deviation` must be 0 or more, but is {deviation}.")
    low, high = (float(end) for end in images.aminmax())
    if low < 0 or high > 1:
        raise ValueError(
            f"Argument `images` must hold pixels from 0 to 1, but spans {low:g} to {high:g}: add "
            "noise before they are standardised."
        )
    drawn = torch.empty(images.shape, dtype=images.dtype)
    for i, noise in enumerate(drawn):
        noise.normal_(generator=key.child(i).generator())
    return (images + deviation * drawn.to(images.device)).clamp(0, 1)


def blended(images: Tensor, partners: Tensor, fraction: float) -> Tensor:
    """Return (1 − f) x + f x_partner.

    Raises:
        ValueError: a fraction outside [0, 1].
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"Argument `fraction` must lie in [0, 1], but is {fraction}.")
    return torch.lerp(images, partners, fraction)


def rotations(
    images: Float[Tensor, "images channels height width"],
    labels: Int[Tensor, " images"],
    degrees: Iterable[float],
) -> Iterator[Rung]:
    """Yield the images turned by each angle; see `rotated`."""
    for angle in degrees:
        yield Rung(
            shift="rotation", level=float(angle), images=rotated(images, angle), labels=labels
        )


def noises(
    images: Float[Tensor, "images channels height width"],
    labels: Int[Tensor, " images"],
    deviations: Iterable[float],
    key: Key,
) -> Iterator[Rung]:
    """Yield the images with growing noise; every rung scales the same draw, see `noisy`."""
    for deviation in deviations:
        found = noisy(images, deviation, key)
        yield Rung(shift="noise", level=float(deviation), images=found, labels=labels)


def blends(
    images: Float[Tensor, "images channels height width"],
    labels: Int[Tensor, " images"],
    foreign: Float[Tensor, "strangers channels height width"],
    fractions: Iterable[float],
    key: Key,
) -> Iterator[Rung]:
    """Yield the images with more and more of one foreign image each, which `pair` draws."""
    partners = pair(foreign, len(images), key)
    for fraction in fractions:
        found = blended(images, partners, fraction)
        yield Rung(shift="blend", level=float(fraction), images=found, labels=labels)


def foreign_sets(
    sets: Mapping[str, Float[Tensor, "strangers channels height width"]], count: int, key: Key
) -> Iterator[Rung]:
    """Yield `count` images of each other data set, or all where it has fewer, in keyed order.

    They have no labels: no class is right, and only doubt can be.
    """
    for name, images in sets.items():
        chosen = pair(images, min(count, len(images)), key.child(name))
        yield Rung(shift=name, level=1.0, images=chosen, labels=None)
