"""Exchange and interfacial DMI on a mesh, with the condition that they impose at free surfaces.

Sign of the DMI. Its energy density is D [m_z div m − (m·∇) m_z]. D > 0 favours left-handed Néel
walls, magnetised along +x between down (left) and up (right), along −x between up and down.
mumax3 and magnum.np (its code, not its documentation) use the same sign; formulas of the literature
for the energy density D [(m·∇) m_z − m_z div m] take −D.
"""

from dataclasses import dataclass

import torch

from bayespin.cite import cites
from bayespin.physics.film.mesh import Mesh, links
from bayespin.shapes import Float, Tensor

_COMPONENTS = -4
_NORMAL = 2
"""The film lies in the plane x y: its interfaces face z."""
_SMALLEST = 1e-300
"""Keeps 0/0 out of the harmonic mean of two cells without exchange, in float64."""


@dataclass(frozen=True)
class _Chirality:
    """The DMI along one axis."""

    link: Float[Tensor, "..."]
    """D/d at each face between magnetic cells, J/m³."""
    surface: Float[Tensor, "z y x"]
    """D²/(4A) times the number of free faces of each cell, J/m³."""


@dataclass(frozen=True)
class _Axis:
    """The bonds between neighbours along x (0), y (1) or z (2)."""

    axis: int
    coupling: Float[Tensor, "..."]
    """2A/d² at each face, J/m³; zero where a side is vacuum."""
    chirality: _Chirality | None


@dataclass(frozen=True)
class ExchangeStencil:
    """The field of exchange and DMI, prepared for one film. Made by `exchange_stencil`."""

    axes: tuple[_Axis, ...]
    inverse_density: Float[Tensor, "z y x"]
    """1/M_s, zero in vacuum, m/A."""

    def __call__(self, m: Float[Tensor, "*batch 3 z y x"]) -> Float[Tensor, "*batch 3 z y x"]:
        """Return the field in tesla; see `exchange_field`."""
        field = torch.zeros_like(m)
        for axis in self.axes:
            difference = _upper(m, axis.axis) - _lower(m, axis.axis)
            difference.mul_(axis.coupling)
            _lower(field, axis.axis).add_(difference)
            _upper(field, axis.axis).sub_(difference)
            if axis.chirality is not None:
                _add_chirality(field, m, axis.axis, axis.chirality)
        return field.mul_(self.inverse_density)


def _lower(values: Tensor, axis: int) -> Tensor:
    """Return the cells that have an upper neighbour, a view."""
    return values.narrow(-1 - axis, 0, values.shape[-1 - axis] - 1)


def _upper(values: Tensor, axis: int) -> Tensor:
    """Return the upper neighbours of `_lower`, a view."""
    return values.narrow(-1 - axis, 1, values.shape[-1 - axis] - 1)


def _add_chirality(field: Tensor, m: Tensor, axis: int, chirality: _Chirality) -> None:
    """Add M_s B of the bonds D (V/d) [m_z,i m_a,j − m_a,i m_z,j] between i and j = i + e_a."""
    for receiver, source, sign in ((axis, _NORMAL, 1), (_NORMAL, axis, -1)):
        acting = m.narrow(_COMPONENTS, source, 1)
        received = field.narrow(_COMPONENTS, receiver, 1)
        _lower(received, axis).addcmul_(_upper(acting, axis), chirality.link, value=sign)
        _upper(received, axis).addcmul_(_lower(acting, axis), chirality.link, value=-sign)
        received.addcmul_(m.narrow(_COMPONENTS, receiver, 1), chirality.surface)


def exchange_stencil(
    mesh: Mesh,
    exchange: float | Float[Tensor, "..."],
    saturation_magnetisation: float | Float[Tensor, "..."],
    dmi: float,
    like: Float[Tensor, "..."],
) -> ExchangeStencil:
    """Return `exchange_field` as a function of m alone, with the dtype and device of `like`.

    Prepared in float64. Symbols and sources as for `exchange_field`.

    Raises:
        ValueError: there is DMI in a magnetic cell without exchange.
    """
    stiffness, density = (
        torch.as_tensor(value, dtype=torch.float64, device=like.device).expand(mesh.shape)
        for value in (exchange, saturation_magnetisation)
    )
    occupied = density > 0
    if mesh.mask is not None:
        occupied = occupied & mesh.mask.to(like.device)
    if dmi != 0 and not bool((stiffness > 0)[occupied].all()):
        raise ValueError(
            "`exchange` must be positive in every magnetic cell that has DMI, but is 0."
        )
    axes = []
    for axis in (axis for axis, count in enumerate(mesh.cells) if count > 1):
        size, linked = mesh.cell[axis], links(occupied, axis).double()
        low, high = _lower(stiffness, axis), _upper(stiffness, axis)
        harmonic = 2 * low * high / (low + high).clamp(min=_SMALLEST)
        chirality = None
        if dmi != 0 and axis != _NORMAL:
            free = 2 * occupied.double()
            _lower(free, axis).sub_(linked)
            _upper(free, axis).sub_(linked)
            surface = free.div_(stiffness.clamp(min=_SMALLEST)) * (dmi**2 / 4)
            chirality = _Chirality((dmi / size * linked).to(like), surface.to(like))
        axes.append(_Axis(axis, (2 / size**2 * harmonic * linked).to(like), chirality))
    inverse = occupied / torch.where(occupied, density, 1.0)
    return ExchangeStencil(tuple(axes), inverse.to(like))


@cites("10.1103/PhysRevB.88.184422", "10.1088/1367-2630/aaea1c", "10.1063/1.4899186")
def exchange_field(
    m: Float[Tensor, "*batch 3 z y x"],
    mesh: Mesh,
    exchange: float | Float[Tensor, "..."],
    saturation_magnetisation: float | Float[Tensor, "..."],
    dmi: float = 0.0,
) -> Float[Tensor, "*batch 3 z y x"]:
    """Return the field of exchange and interfacial DMI in tesla, linear in m.

    B = (2A/M_s) ∇²m + (2D/M_s) [∇m_z − z div m], on cells
    B_i = (2/M_s,i) ∑_j A_ij (m_j − m_i)/d² + (1/M_s,i) ∑_j (D/d) (z×n_j)×m_j
          + (D²/(4A_i M_s,i)) ∑_free faces (n n·m + z m_z),
    where j runs over the magnetic neighbours, n_j points at them, A_ij = 2A_iA_j/(A_i + A_j).

    Symbols: A exchange stiffness (J/m); M_s (A/m), zero in vacuum; D interfacial DMI of energy
    density D [m_z div m − (m·∇) m_z] (J/m²); d size of a cell along the bond (m); z normal of the
    film; n outward normal of a face. Any of the maps is z y x.

    Neighbours in vacuum contribute nothing, which is ∂m/∂n = −(D/2A) (z×n)×m at free faces to
    first order in d, and ∂m/∂n = 0 without DMI. The term in D² is what m gains by turning at that
    rate over the half cell from the centre to the face, and makes the surface of second order.
    mumax3 adds twice, magnum.np none of it. Along axes of one cell m is taken to be uniform and
    endless. The field is −(1/(M_s V)) ∂E/∂m of the energy E = −½ ∑ M_s V m·B. Zero in vacuum.

    Source: Rohart and Thiaville (2013) and Cortés-Ortuño et al. (2018) for the surface (with −D);
    Vansteenkiste et al. (2014) for the interior.

    Raises:
        ValueError: there is DMI in a magnetic cell without exchange.
    """
    return exchange_stencil(mesh, exchange, saturation_magnetisation, dmi, m)(m)
