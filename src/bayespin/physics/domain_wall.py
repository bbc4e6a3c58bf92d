"""A domain wall in a perpendicular track at rest: its width, its energy, and what a junction sees.

How it moves is in `wall_motion` (closed forms) and `wall_ensemble` (with noise and notches).
"""

import math

import torch

from bayespin.cite import cites
from bayespin.constants import VACUUM_PERMEABILITY
from bayespin.shapes import Float, Tensor


def track_anisotropy(uniaxial_anisotropy: float, saturation_magnetisation: float) -> float:
    """Return K_eff = K_u − µ0 M_s²/2 of a thin perpendicular film, in J/m³.

    Symbols: K_u uniaxial anisotropy (J/m³); M_s (A/m). Valid while the thickness is far below the
    width of the track.

    Raises:
        ValueError: K_eff is not positive, so no perpendicular wall exists.
    """
    anisotropy = uniaxial_anisotropy - VACUUM_PERMEABILITY * saturation_magnetisation**2 / 2
    if not anisotropy > 0:
        raise ValueError(
            f"`uniaxial_anisotropy` must exceed the shape anisotropy of the film by "
            f"{-anisotropy:.3g} J/m3 to be perpendicular, but is {uniaxial_anisotropy:.3g} J/m3."
        )
    return anisotropy


@cites("10.1209/0295-5075/100/57002")
def width_parameter(exchange: float, anisotropy: float) -> float:
    """Return Δ_DW = √(A/K_eff) in metres; the wall profile is m_z = tanh(y/Δ_DW).

    Symbols: A exchange stiffness (J/m); K_eff effective anisotropy (J/m³).

    Source: Thiaville et al. (2012). A straight wall in a thin film.
    """
    return math.sqrt(exchange / anisotropy)


def discrete_width_parameter(wall_width_parameter: float, cell: float) -> float:
    """Return Δ (1 − (dx/Δ)²/8), the width parameter of a wall on cells of size dx, in metres.

    Measured as ½ ∑ (m_x² + m_y²) dx, which is Δ for the continuous profile.

    Symbols: Δ continuous width parameter (m); dx cell along the wall normal (m). The next term is
    −0.035 (dx/Δ)⁴: good to 6e-4 of Δ for dx below 0.36 Δ.
    """
    return wall_width_parameter * (1 - (cell / wall_width_parameter) ** 2 / 8)


@cites("10.1209/0295-5075/100/57002")
def wall_energy(exchange: float, anisotropy: float, dmi: float = 0.0) -> float:
    """Return the energy of a wall per area, 4√(A K_eff) − π|D|, in J/m².

    Symbols: A exchange stiffness (J/m); K_eff effective anisotropy (J/m³); D interfacial DMI
    (J/m²), of a Néel wall of the sense that D favours. A Bloch wall has no D term.

    Source: Thiaville et al. (2012). Valid for |D| below `critical_dmi`.
    """
    return 4 * math.sqrt(exchange * anisotropy) - math.pi * abs(dmi)


@cites("10.1209/0295-5075/100/57002")
def critical_dmi(exchange: float, anisotropy: float) -> float:
    """Return D_c = 4√(A K_eff)/π in J/m², above which walls cost no energy and fill the film.

    Symbols: A exchange stiffness (J/m); K_eff effective anisotropy (J/m³).
    """
    return 4 * math.sqrt(exchange * anisotropy) / math.pi


def physical_width(wall_width_parameter: float) -> float:
    """Return πΔ_DW, the width of the wall by the slope at its centre, in metres."""
    return math.pi * wall_width_parameter


def end_dead_zone(wall_width_parameter: float) -> float:
    """Return πΔ_DW, the length at either end of a track where a wall cannot be held, in metres.

    Closer to the end the wall is cut by it, G is no longer linear in the position
    (`parallel_fraction_exact` departs from q/L by Δ_DW e^{−2π}/(2L), 0.1 % of a wall, at this
    distance), and the wall is drawn out of the track.
    """
    return math.pi * wall_width_parameter


def parallel_fraction_exact(
    position: Float[Tensor, "*batch"], length: float, wall_width_parameter: float
) -> Float[Tensor, "*batch"]:
    """Return the parallel fraction x of a junction over a whole track with one wall at q.

    x = 1/2 + (Δ_DW/2L) ln[cosh(q/Δ_DW)/cosh((L − q)/Δ_DW)]: the average of (1 + tanh((q−y)/Δ))/2
    over 0 < y < L, as conductances of parallel strips add.

    Symbols: q wall position from the antiparallel end (m); L length (m); Δ_DW width parameter (m).
    Equals q/L away from the ends; x = 0 and 1 are reached only when the wall has left.
    """
    near, far = position / wall_width_parameter, (length - position) / wall_width_parameter
    return 0.5 + wall_width_parameter / (2 * length) * (_log_cosh(near) - _log_cosh(far))


def _log_cosh(x: Tensor) -> Tensor:
    """Return ln cosh x without overflow."""
    size = x.abs()
    return size + torch.log1p(torch.exp(-2 * size)) - math.log(2)
