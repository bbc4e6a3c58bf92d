"""Training images that are moved and mirrored anew at every epoch: more images from the same ones.

A label must not depend on either, so this is for photographs of things, and not for digits.
"""

import torch
from torch.nn.functional import pad

from bayespin.cite import cites
from bayespin.rng import Key
from bayespin.shapes import Float, Tensor


@cites("arXiv:1512.03385")
def shifted_and_mirrored(
    images: Float[Tensor, "images channels height width"], key: Key, reach: int = 4
) -> Float[Tensor, "images channels height width"]:
    """Return each image moved by a whole number of pixels, and every other one mirrored.

    y(r, c) = x(r + a, c + b), or x(r + a, W − 1 − c + b) where it is mirrored, and 0 where that
    lies outside x. a and b are uniform from −reach to reach; half of the images are mirrored, by a
    coin each.

    Draws are made on the CPU, so that they are the same for images on any device.

    Args:
        images: a batch.
        key: of the draws.
        reach: most pixels of a move, in either direction.

    Source: He et al., arXiv:1512.03385, section 4.2, which pads CIFAR-10 by 4 pixels and crops.

    Raises:
        ValueError: a negative reach.
    """
    if reach < 0:
        raise ValueError(f"Argument `reach` must not be negative, but is {reach}.")
    count, _, height, width = images.shape
    generator, device = key.generator(), images.device
    moves = torch.randint(0, 2 * reach + 1, (2, count, 1), generator=generator).to(device)
    coins = torch.randint(0, 2, (count, 1), generator=generator).to(device)
    rows = torch.arange(height, device=device) + moves[0]
    across = torch.arange(width, device=device)
    columns = torch.where(coins == 1, across.flip(0), across) + moves[1]
    wide = pad(images, (reach,) * 4).movedim(1, -1)
    each = torch.arange(count, device=device)[:, None, None]
    return wide[each, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)
