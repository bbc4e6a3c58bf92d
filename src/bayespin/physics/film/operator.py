"""The linear part of the effective field, evaluated in the cheapest of three ways.

Exchange, DMI, demagnetisation and uniaxial anisotropy are linear in m. A small grid multiplies
by one dense matrix, a larger one with mirror symmetry by four blocks of it, any other grid adds up
stencils and Fourier transforms. All three are the same map: the matrices are read off from it.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch

from bayespin.physics.film.mesh import Mesh
from bayespin.shapes import Float, Tensor

Linear = Callable[[Tensor], Tensor]
"""Maps m (*batch 3 z y x) to a field in tesla, linearly."""
Evaluation = Literal["auto", "direct", "dense", "mirrored"]

DENSE_CELLS = 400
"""Up to here one matrix product is the fastest way (one core, float32: results/physics.json)."""
MIRRORED_CELLS = 1024
"""Up to here four blocks are faster than Fourier transforms, and made in a few seconds."""

_UNIT_VECTORS_AT_ONCE = 256
_ASYMMETRY = 1e-9
"""Largest field of the wrong parity, against the right one, that still counts as rounding."""


@runtime_checkable
class LinearField(Protocol):
    """A linear map on magnetisations, with a field to add it to."""

    def __call__(
        self, m: Float[Tensor, "*batch 3 z y x"], offset: Float[Tensor, "..."] | None
    ) -> Float[Tensor, "*batch 3 z y x"]:
        """Return L m + offset, in tesla."""
        ...


@dataclass(frozen=True)
class Direct:
    """L m by stencils and Fourier transforms."""

    linear: Linear

    def __call__(
        self, m: Float[Tensor, "*batch 3 z y x"], offset: Float[Tensor, "..."] | None
    ) -> Float[Tensor, "*batch 3 z y x"]:
        """Return L m + offset, in tesla."""
        field = self.linear(m)
        return field if offset is None else field + offset


@dataclass(frozen=True)
class Dense:
    """L m as one matrix product over all components and cells."""

    transposed: Float[Tensor, " n n"]
    """Lᵀ, n = 3 x cells: a batch of rows is multiplied from the left."""

    def __call__(
        self, m: Float[Tensor, "*batch 3 z y x"], offset: Float[Tensor, "..."] | None
    ) -> Float[Tensor, "*batch 3 z y x"]:
        """Return L m + offset, in tesla."""
        rows = m.reshape(-1, len(self.transposed))
        if len(rows) == 1:  # one row is another kernel, whose bits depend on the number of threads
            return self(m.expand(2, *m.shape), offset)[0]
        if offset is None:
            return (rows @ self.transposed).reshape(m.shape)
        added = offset.expand(m.shape).reshape(rows.shape)
        return torch.addmm(added, rows, self.transposed).reshape(m.shape)


@dataclass(frozen=True)
class Mirrored:
    """L m for a film that two mirrors leave as it is: four products of a quarter of the size.

    The mirrors x → −x and y → −y commute with L, so that L couples only magnetisations of equal
    parity. Even and odd halves, a ± b with b the mirrored half, are the change of basis.
    """

    transposed: Float[Tensor, "4 q q"]
    """Lᵀ in each of the parities (even, even), (odd, even), (even, odd), (odd, odd) of (x, y)."""

    def __call__(
        self, m: Float[Tensor, "*batch 3 z y x"], offset: Float[Tensor, "..."] | None
    ) -> Float[Tensor, "*batch 3 z y x"]:
        """Return L m + offset, in tesla."""
        flat = m.reshape(-1, *m.shape[-4:])
        parts = _split(flat)
        product = parts.flatten(2) @ self.transposed
        field = _join(product.reshape(parts.shape)).reshape(m.shape)
        return field if offset is None else field + offset


# Sectors 0 to 3 are the parities (x, y) = (even, even), (odd, even), (even, odd), (odd, odd) of the
# vector field. A mirror turns round the component along its axis, so the numbers of m_x have the
# other parity under x → −x than the field has, and those of m_y under y → −y: entry [c][s] is the
# parity of component c in sector s, and also, each row being its own inverse, the other way round.
_NUMBERS = ((1, 0, 3, 2), (2, 3, 0, 1), (0, 1, 2, 3))


def _split(m: Float[Tensor, "batch 3 z y x"]) -> Float[Tensor, "4 batch 3 z half_y half_x"]:
    """Return twice the orthonormal parts: sums and differences of the four quarters."""
    batch, _, nz, ny, nx = m.shape
    parts = m.new_empty((4, batch, 3, nz, ny // 2, nx // 2))
    near, far = m[..., : nx // 2], m[..., nx // 2 :].flip(-1)
    for odd_x, half in enumerate((near + far, near - far)):
        top, bottom = half[..., : ny // 2, :], half[..., ny // 2 :, :].flip(-2)
        for c, numbers in enumerate(_NUMBERS):
            even, odd = parts[numbers[odd_x], :, c], parts[numbers[odd_x + 2], :, c]
            torch.add(top[:, c], bottom[:, c], out=even)
            torch.sub(top[:, c], bottom[:, c], out=odd)
    return parts


def _join(parts: Float[Tensor, "4 batch 3 z half_y half_x"]) -> Float[Tensor, "batch 3 z y x"]:
    """Undo `_split` up to its factor of four."""
    _, batch, _, nz, hy, hx = parts.shape
    halves = parts.new_empty((2, batch, 3, nz, 2 * hy, hx))
    for odd_x in (0, 1):
        top, bottom = halves[odd_x, ..., :hy, :], parts.new_empty(parts.shape[1:])
        for c, numbers in enumerate(_NUMBERS):
            even, odd = parts[numbers[odd_x], :, c], parts[numbers[odd_x + 2], :, c]
            torch.add(even, odd, out=top[:, c])
            torch.sub(even, odd, out=bottom[:, c])
        halves[odd_x, ..., hy:, :] = bottom.flip(-2)
    m = parts.new_empty((batch, 3, nz, 2 * hy, 2 * hx))
    torch.add(halves[0], halves[1], out=m[..., :hx])
    m[..., hx:] = (halves[0] - halves[1]).flip(-1)
    return m


def _columns(size: int, device: torch.device | str) -> Iterator[tuple[slice, Tensor]]:
    """Yield unit vectors of length `size` in float64, some at a time, and which they are."""
    for first in range(0, size, _UNIT_VECTORS_AT_ONCE):
        chosen = slice(first, min(first + _UNIT_VECTORS_AT_ONCE, size))
        unit = torch.zeros((chosen.stop - first, size), dtype=torch.float64, device=device)
        unit.diagonal(first).fill_(1)
        yield chosen, unit


def dense_matrix(linear: Linear, mesh: Mesh, device: torch.device | str) -> Float[Tensor, " n n"]:
    """Return Lᵀ in float64, n = 3 x cells, row by row from unit vectors."""
    matrix = torch.empty((size := 3 * math.prod(mesh.shape), size), dtype=torch.float64,
                         device=device)  # fmt: skip
    for chosen, unit in _columns(size, device):
        matrix[chosen] = linear(unit.reshape(-1, 3, *mesh.shape)).flatten(1)
    return matrix


def mirrored_blocks(
    linear: Linear, mesh: Mesh, device: torch.device | str
) -> Float[Tensor, "4 q q"] | None:
    """Return Lᵀ in each of the four parities, or None where a mirror changes L."""
    nz, ny, nx = mesh.shape
    if nx % 2 or ny % 2:
        return None
    size = 3 * math.prod(mesh.shape) // 4
    blocks = torch.empty((4, size, size), dtype=torch.float64, device=device)
    for sector in range(4):
        for chosen, unit in _columns(size, device):
            parts = unit.new_zeros((4, len(unit), 3, nz, ny // 2, nx // 2))
            parts[sector] = unit.reshape(parts.shape[1:])
            image = _split(linear(_join(parts) / 4)).flatten(2)
            blocks[sector, chosen] = image[sector]
            image[sector] = 0
            if bool(image.abs().max() > _ASYMMETRY * blocks[sector, chosen].abs().max()):
                return None
    return blocks / 4  # the factor that `_split` and `_join` have together


def linear_field(
    prepare: Callable[[Tensor], Linear],
    mesh: Mesh,
    like: Float[Tensor, "..."],
    evaluation: Evaluation = "auto",
) -> LinearField:
    """Return a linear field in the cheapest form for the dtype and device of `like`.

    `prepare` makes the field for a dtype and device (`Film.linear_field`); matrices are read off
    in float64. "auto" is dense up to `DENSE_CELLS`, mirrored up to `MIRRORED_CELLS` where the film
    is symmetric about both axes, and direct beyond. The choice depends on the film alone, never on
    a clock, so that a run gives the same bits everywhere on one kind of device.

    Raises:
        ValueError: "mirrored" was asked for a film without the symmetry.
    """
    cells = math.prod(mesh.shape)
    if evaluation == "direct" or (evaluation == "auto" and cells > MIRRORED_CELLS):
        return Direct(prepare(like))
    exact = prepare(torch.empty((), dtype=torch.float64, device=like.device))
    if evaluation == "dense" or (evaluation == "auto" and cells <= DENSE_CELLS):
        return Dense(dense_matrix(exact, mesh, like.device).to(like.dtype))
    blocks = mirrored_blocks(exact, mesh, like.device)
    if blocks is not None:
        return Mirrored(blocks.to(like.dtype))
    if evaluation == "mirrored":
        raise ValueError(
            "Argument `evaluation` must not be mirrored for a film that a mirror changes, "
            "but is; take auto."
        )
    return Direct(prepare(like))
