"""A magnetic film: its geometry and material, and the fields that they give."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch

from bayespin.constants import VACUUM_PERMEABILITY
from bayespin.physics.film.demagnetisation import DemagnetisingField
from bayespin.physics.film.exchange import exchange_stencil
from bayespin.physics.film.mesh import Mesh
from bayespin.shapes import Float, Tensor

Map = float | Tensor
"""One value for the film, or one per cell (z y x)."""


@dataclass(frozen=True, kw_only=True)
class Film:
    """What stays as it is while the magnetisation moves; any map is z y x.

    Raises:
        ValueError: a value that is not finite, not of its sign, or not of the mesh's shape.
    """

    mesh: Mesh
    saturation_magnetisation: Map
    """M_s, A/m; zero or masked where there is no magnet."""
    exchange: Map
    """A, J/m; harmonic mean between unlike cells."""
    damping: Map
    """Gilbert damping α."""
    uniaxial_anisotropy: Map = 0.0
    """K_u, J/m³; positive for an easy axis."""
    easy_axis: tuple[float, float, float] = (0.0, 0.0, 1.0)
    interfacial_dmi: float = 0.0
    """D, J/m²; energy density D [m_z div m − (m·∇) m_z]."""
    demagnetisation: Literal["newell", "none"] | tuple[float, float, float] = "newell"
    """Newell's tensor between all cells; or factors (N_x, N_y, N_z) of a local approximation,
    B = −µ0 M_s (N_x m_x, N_y m_y, N_z m_z), such as (0, 0, 1) for a film thinner than its wall."""

    def __post_init__(self) -> None:
        for name, lowest in (
            ("saturation_magnetisation", 0.0), ("exchange", 0.0), ("damping", 0.0),
            ("uniaxial_anisotropy", -math.inf), ("interfacial_dmi", -math.inf),
        ):  # fmt: skip
            _check(name, getattr(self, name), self.mesh.shape, lowest)
        length = math.hypot(*self.easy_axis)
        if not 0.999 < length < 1.001:
            raise ValueError(f"`easy_axis` must have length 1, but has length {length:g}.")
        _check_factors(self.demagnetisation)
        if not bool((self.moment_density > 0).any()):
            raise ValueError("`saturation_magnetisation` must be positive in a cell, but is not.")

    @cached_property
    def moment_density(self) -> Float[Tensor, "z y x"]:
        """M_s of each cell in float64, zero in vacuum, A/m."""
        density = torch.as_tensor(self.saturation_magnetisation, dtype=torch.float64)
        return torch.where(self.mesh.occupied, density, 0.0).expand(self.mesh.shape)

    @cached_property
    def occupied(self) -> Float[Tensor, "z y x"]:
        """1 in magnetic cells and 0 in vacuum, float64."""
        return (self.moment_density > 0).double()

    @cached_property
    def inverse_moment_density(self) -> Float[Tensor, "z y x"]:
        """1/M_s of each cell in float64, zero in vacuum, m/A."""
        return torch.where(self.moment_density > 0, 1 / self.moment_density, 0.0)

    def linear_field(
        self, like: Float[Tensor, "..."]
    ) -> Callable[[Float[Tensor, "*batch 3 z y x"]], Float[Tensor, "*batch 3 z y x"]]:
        """Return the field of exchange, DMI, uniaxial anisotropy and demagnetisation, in tesla.

        B = (2A/M_s) ∇²m + B_DMI + (2K_u/M_s)(m·e)e − µ0 N M_s m, a linear function of m, prepared
        for the dtype and device of `like`.
        """
        density = self.moment_density.to(like)
        stencil = exchange_stencil(
            self.mesh, self.exchange, self.moment_density, self.interfacial_dmi, like
        )
        anisotropy = torch.as_tensor(self.uniaxial_anisotropy, dtype=torch.float64)
        stiffness = (2 * anisotropy * self.inverse_moment_density).to(like)
        axis = torch.tensor(self.easy_axis, dtype=torch.float64).to(like).reshape(3, 1, 1, 1)
        demagnetising = self._demagnetising_field(like)

        def field(m: Tensor) -> Tensor:
            along = (m * axis).sum(-4, keepdim=True)
            total = stencil(m).add_(stiffness * along * axis)
            return total if demagnetising is None else total.add_(demagnetising(m * density))

        return field

    def _demagnetising_field(self, like: Tensor) -> Callable[[Tensor], Tensor] | None:
        if self.demagnetisation == "newell":
            return DemagnetisingField(self.mesh, like.dtype, like.device)
        if self.demagnetisation == "none":
            return None
        factors = (
            torch.tensor(self.demagnetisation, dtype=torch.float64).to(like).reshape(3, 1, 1, 1)
        )
        return lambda moments: -VACUUM_PERMEABILITY * factors * moments

    @property
    def wall_anisotropy(self) -> Float[Tensor, "z y x"]:
        """What sets the width of walls, J/m³: K_u, less µ0 M_s²/2 where stray fields act."""
        shape = 0.0 if self.demagnetisation == "none" else VACUUM_PERMEABILITY / 2
        return torch.as_tensor(self.uniaxial_anisotropy) - shape * self.moment_density.square()

    @property
    def stiffest_field(self) -> float:
        """The largest field that a rough magnetisation can meet, in tesla.

        B_max = 8A/M_s (1/dx² + 1/dy² + 1/dz²) + 2|K_u|/M_s + µ0 M_s + 2|D|/M_s (1/dx + 1/dy),
        axes of one cell left out: an upper bound of the spectrum, which the time step must resolve.
        """
        inverse = float(self.inverse_moment_density.max())
        sizes = [d for d, n in zip(self.mesh.cell, self.mesh.cells, strict=True) if n > 1]
        exchange = 8 * _largest(self.exchange) * inverse * sum(d**-2 for d in sizes)
        anisotropy = 2 * _largest(self.uniaxial_anisotropy) * inverse
        demagnetising = VACUUM_PERMEABILITY * float(self.moment_density.max())
        chiral = 2 * abs(self.interfacial_dmi) * inverse * sum(1 / d for d in sizes[:2])
        return exchange + anisotropy + demagnetising + chiral

    def average(self, m: Float[Tensor, "*batch 3 z y x"]) -> Float[Tensor, "*batch 3"]:
        """Return ⟨m⟩, weighted by the moment of each cell."""
        weight = self.moment_density.to(m)
        return (m * (weight / weight.sum())).sum((-3, -2, -1))


def _check_factors(chosen: str | tuple[float, float, float]) -> None:
    known = ("newell", "none")
    fits = chosen in known if isinstance(chosen, str) else len(chosen) == 3
    if not fits or (not isinstance(chosen, str) and not all(map(math.isfinite, chosen))):
        raise ValueError(
            f"`demagnetisation` must be newell, none or three finite factors, but is {chosen!r}."
        )


def _largest(values: Map) -> float:
    return float(torch.as_tensor(values).abs().max())


def _check(name: str, values: Map, shape: tuple[int, int, int], lowest: float) -> None:
    found = torch.as_tensor(values)
    if found.ndim and tuple(found.shape) != shape:
        raise ValueError(
            f"`{name}` must be one number or a map of shape {shape}, but has shape "
            f"{tuple(found.shape)}."
        )
    wrong = found[~(found.isfinite() & (found >= lowest))]
    if wrong.numel():
        sign = " and not negative" if lowest == 0 else ""
        raise ValueError(f"`{name}` must be finite{sign}, but is {float(wrong[0]):g}.")
