"""The free layer of a pillar: geometry, material, and the anisotropy that shape and interface give.

Sign convention: an effective anisotropy K_eff > 0 holds the magnetisation perpendicular to the
film, K_eff < 0 leaves it in an easy plane.
"""

import math
from dataclasses import dataclass, replace
from typing import Annotated

from scipy import special

from bayespin.cite import cites
from bayespin.constants import BOLTZMANN, VACUUM_PERMEABILITY
from bayespin.shapes import Float, Tensor
from bayespin.units import Unit


@dataclass(frozen=True, kw_only=True)
class FreeLayer:
    """A circular disk that moves as one macrospin: diameter below about 80 to 100 nm.

    Raises:
        ValueError: a quantity is not positive and finite.
    """

    saturation_magnetisation: Annotated[float, Unit("A/m")]
    diameter: Annotated[float, Unit("m")]
    thickness: Annotated[float, Unit("m")]
    damping: float
    """Gilbert damping α."""

    def __post_init__(self) -> None:
        for name in ("saturation_magnetisation", "diameter", "thickness", "damping"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"`{name}` must be positive and finite, but is {value:g}.")

    @property
    def area(self) -> float:
        """πd²/4, m²."""
        return math.pi * self.diameter**2 / 4

    @property
    def volume(self) -> float:
        """πd²t/4, m³."""
        return self.area * self.thickness


REFERENCE_TEMPERATURE = 300.0
"""Temperature in kelvin at which M_s and K_i are given."""


@dataclass(frozen=True, kw_only=True)
class ThermalLaw:
    """How magnetisation and interface anisotropy fall with temperature.

    M_s(T) = M_s(T0) m, K_i(T) = K_i(T0) mⁿ, m = (1 − (T/T*)^{3/2})/(1 − (T0/T*)^{3/2}), T0 = 300 K.

    Raises:
        ValueError: T* not above 300 K, or a negative exponent.
    """

    bloch_temperature: Annotated[float, Unit("K")]
    """T*, where Bloch's law meets zero."""
    anisotropy_exponent: float
    """n."""

    def __post_init__(self) -> None:
        if not self.bloch_temperature > REFERENCE_TEMPERATURE:
            raise ValueError(
                f"`bloch_temperature` must exceed {REFERENCE_TEMPERATURE:g} K, but is "
                f"{self.bloch_temperature:g} K."
            )
        if not self.anisotropy_exponent >= 0:
            raise ValueError(
                f"`anisotropy_exponent` must not be negative, but is {self.anisotropy_exponent:g}."
            )


@cites("arXiv:2011.02220")
def magnetisation_ratio(law: ThermalLaw, temperature: float) -> float:
    """Return M_s(T)/M_s(300 K) of Bloch's law, (1 − (T/T*)^{3/2})/(1 − (300 K/T*)^{3/2}).

    Symbols: T temperature (K); T* `bloch_temperature` (K).

    Source: Ibrahim et al. (2020) for M_s and the power law of K_i at Fe/MgO: Callen and Callen's
    exponent at ideal interfaces, lower ones with dead layers. Spin waves only, so T below T*/2.

    Raises:
        ValueError: the temperature is not inside (0, T*).
    """
    if not 0 < temperature < law.bloch_temperature:
        raise ValueError(
            f"Argument `temperature` must lie inside (0, {law.bloch_temperature:g}) K, but is "
            f"{temperature:g} K."
        )
    now, then = (
        1 - (t / law.bloch_temperature) ** 1.5 for t in (temperature, REFERENCE_TEMPERATURE)
    )
    return now / then


def layer_at(layer: FreeLayer, law: ThermalLaw | None, temperature: float) -> FreeLayer:
    """Return the layer with M_s at a temperature (K); without a law M_s stays as it is."""
    if law is None:
        return layer
    ratio = magnetisation_ratio(law, temperature)
    return replace(layer, saturation_magnetisation=layer.saturation_magnetisation * ratio)


def interface_anisotropy_at(
    anisotropy: Float[Tensor, "*batch"], law: ThermalLaw | None, temperature: float
) -> Float[Tensor, "*batch"]:
    """Return K_i(T) = K_i(300 K) mⁿ in J/m² at a temperature (K); without a law K_i(300 K)."""
    if law is None:
        return anisotropy
    return anisotropy * magnetisation_ratio(law, temperature) ** law.anisotropy_exponent


@cites("10.1063/1.1708110", "10.1109/20.102932")
def demagnetising_factors(diameter: float, thickness: float) -> tuple[float, float]:
    """Return magnetometric demagnetising factors (N_x, N_z) of a uniformly magnetised cylinder.

    N_z = 1 + (4/(3πa)) {1 − √(1+a²) [a² K(k²) + (1 − a²) E(k²)]}, k² = 1/(1 + a²), a = t/d,
    N_x = N_y = (1 − N_z)/2, so that the trace is 1.

    Symbols: d diameter (m); t thickness along z (m); K, E complete elliptic integrals of the
    parameter k².

    Source: Joseph (1966); tabulated by Chen, Brug and Goldfarb (1991). Exact for any a > 0; double
    precision keeps 1e-10 down to a = 1e-6. Thin limit: N_z = 1 − (2a/π)(ln(4/a) − 1/2).
    """
    a = thickness / diameter
    parameter = 1 / (1 + a * a)
    # K through its complementary parameter, which stays exact where 1 - k² is tiny.
    first = special.ellipkm1(a * a * parameter)
    second = special.ellipe(parameter)
    bracket = 1 - math.sqrt(1 + a * a) * (a * a * first + (1 - a * a) * second)
    perpendicular = 1 + 4 / (3 * math.pi * a) * bracket
    return float((1 - perpendicular) / 2), float(perpendicular)


def shape_anisotropy(layer: FreeLayer) -> float:
    """Return the density that holds a disk in its plane, (N_z − N_x) µ0 M_s²/2, in J/m³."""
    in_plane, perpendicular = demagnetising_factors(layer.diameter, layer.thickness)
    return (perpendicular - in_plane) * VACUUM_PERMEABILITY * layer.saturation_magnetisation**2 / 2


@cites("10.1038/nmat2804")
def effective_anisotropy(
    layer: FreeLayer, interface_anisotropy: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """Return the effective anisotropy density of the disk; negative is an easy plane.

    K_eff = K_i/t − (N_z − N_x) µ0 M_s²/2.

    Symbols: K_i interface anisotropy (J/m²); t thickness (m); N demagnetising factors; M_s
    saturation magnetisation (A/m); K_eff (J/m³).

    Source: Ikeda et al. (2010). Uniform magnetisation, no bulk anisotropy.
    """
    return interface_anisotropy / layer.thickness - shape_anisotropy(layer)


def anisotropy_field(
    layer: FreeLayer, anisotropy: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """Return the anisotropy field B_k = 2|K_eff|/M_s in tesla, for K_eff in J/m³."""
    return 2 * anisotropy.abs() / layer.saturation_magnetisation


def interface_anisotropy_for_field(
    layer: FreeLayer, easy_plane_field: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """Return the interface anisotropy that leaves an easy plane of field B_k.

    K_i = t [(N_z − N_x) µ0 M_s²/2 − M_s B_k/2], the inverse of `effective_anisotropy` followed by
    `anisotropy_field`.

    Symbols: B_k easy-plane field (T), positive; K_i (J/m²). A negative B_k gives the perpendicular
    layer of the same |B_k|.
    """
    anisotropy = layer.saturation_magnetisation * easy_plane_field / 2
    return layer.thickness * (shape_anisotropy(layer) - anisotropy)


def stability_factor(
    layer: FreeLayer, anisotropy: Float[Tensor, "*batch"], temperature: float
) -> Float[Tensor, "*batch"]:
    """Return Δ = |K_eff| V/(kT), for K_eff in J/m³ and T in kelvin.

    Raises:
        ValueError: the temperature is not positive.
    """
    return anisotropy.abs() * layer.volume / thermal_energy(temperature)


def thermal_energy(temperature: float) -> float:
    """Return kT in joules.

    Raises:
        ValueError: the temperature is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"Argument `temperature` must be positive, but is {temperature:g} K.")
    return BOLTZMANN * temperature
