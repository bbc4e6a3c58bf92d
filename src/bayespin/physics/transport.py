"""Conductance of a magnetic tunnel junction and the noise of its current.

All in conductance, which is linear in the projection u of free on reference layer; resistance is
not.
"""

from typing import TypeVar

import torch

from bayespin.cite import cites
from bayespin.constants import ELEMENTARY_CHARGE
from bayespin.physics.free_layer import thermal_energy
from bayespin.shapes import Float, Tensor

Quantity = TypeVar("Quantity", float, Tensor)
"""Numbers or tensors, whichever came in."""


@cites("10.1103/PhysRevB.39.6995", "10.1016/0375-9601(75)90174-7")
def polarisation_product(tmr: float) -> float:
    """Return P² = TMR/(TMR + 2), the relative half swing of the conductance.

    Symbols: TMR = (G_P − G_AP)/G_AP as a fraction (1.5 is 150 %).

    Source: Julliere (1975); Slonczewski (1989).

    Raises:
        ValueError: the ratio is not positive.
    """
    if not tmr > 0:
        raise ValueError(f"Argument `tmr` must be positive, but is {tmr:g}.")
    return tmr / (tmr + 2)


def tmr_at_bias(tmr: float, voltage: Quantity, half_voltage: float) -> Quantity:
    """Return TMR(V) = TMR0/(1 + (V/V_half)²), the usual fit to junctions with MgO.

    Symbols: V voltage (V); V_half voltage that halves the ratio (V), about 0.5 V.
    """
    return tmr / (1 + (voltage / half_voltage) ** 2)


def parallel_conductance(resistance_area: float, area: float) -> float:
    """Return G_P = A/RA in siemens, with RA (Ω m²) the product of the parallel state."""
    return area / resistance_area


def antiparallel_conductance(resistance_area: float, area: float, tmr: Quantity) -> Quantity:
    """Return G_AP = G_P/(1 + TMR) in siemens."""
    return parallel_conductance(resistance_area, area) / (1 + tmr)


def mean_conductance(resistance_area: float, area: float, tmr: Quantity) -> Quantity:
    """Return G0 = (G_P + G_AP)/2 in siemens, the conductance at u = 0."""
    parallel = parallel_conductance(resistance_area, area)
    return (parallel + antiparallel_conductance(resistance_area, area, tmr)) / 2


@cites("10.1103/PhysRevB.39.6995")
def conductance(
    projection: Float[Tensor, "*batch"], mean: float, polarisation: float
) -> Float[Tensor, "*batch"]:
    """Return G(u) = G0 (1 + P² u).

    Symbols: u = m·p projection of free on reference layer, in [−1, 1]; G0 mean conductance (S);
    P² = `polarisation_product`. G(1) = G_P, G(−1) = G_AP.
    """
    return mean * (1 + polarisation * projection)


def _thermal_over_shot(
    voltage: float | Float[Tensor, "*batch"], temperature: float
) -> Float[Tensor, "*batch"]:
    """Return x coth x with x = qV/2kT: 1 for pure Johnson noise, → x for pure shot noise."""
    volts = torch.as_tensor(voltage, dtype=torch.float64)
    x = (ELEMENTARY_CHARGE * volts / (2 * thermal_energy(temperature))).abs()
    return torch.where(x < 1e-4, 1 + x * x / 3, x / torch.tanh(x.clamp_min(1e-4)))


@cites("10.1016/0003-4916(74)90430-8")
def current_noise_density(
    conductance: Float[Tensor, "*#batch"],
    voltage: float | Float[Tensor, "*#batch"],
    temperature: float,
) -> Float[Tensor, "*batch"]:
    """Return the one-sided spectral density of a tunnel current's noise, in A²/Hz.

    S(f) = 2qI coth(qV/2kT) = 4kTG · x coth x, x = qV/2kT, I = GV, for f > 0.

    Symbols: q elementary charge (C); V voltage (V); T temperature (K); G conductance (S).
    One-sided: ⟨I²⟩ = ∫_0^∞ S df. Limits: 4kTG (Johnson) at V = 0, 2q|I| (shot) for qV ≫ 2kT; at
    300 K and 0.1 V it is 2.02 times Johnson noise.

    Source: Rogovin and Scalapino (1974). White below about kT/h; no 1/f noise.
    """
    excess = _thermal_over_shot(voltage, temperature)
    return 4 * thermal_energy(temperature) * excess * conductance


def mean_current_variance(
    conductance: Float[Tensor, "*#batch"],
    voltage: float | Float[Tensor, "*#batch"],
    temperature: float,
    window: float,
) -> Float[Tensor, "*batch"]:
    """Return the variance of a current averaged over a read window, in A².

    var = S/(2 T_r) = (2kTG/T_r) x coth x, with S the one-sided `current_noise_density`.

    Derivation: the two-sided density is S/2, the average over T_r filters by sinc²(fT_r), and
    ∫_{−∞}^{∞} sinc²(fT_r) df = 1/T_r. Shot limit: qI/T_r, the Poisson variance N q²/T_r² of
    N = IT_r/q electrons.

    Symbols: T_r window (s), long against 1/bandwidth of the amplifier.

    Raises:
        ValueError: the window is not positive.
    """
    if not window > 0:
        raise ValueError(f"Argument `window` must be positive, but is {window:g} s.")
    return current_noise_density(conductance, voltage, temperature) / (2 * window)


def voltage_controlled_anisotropy(
    coefficient: float, voltage: Float[Tensor, "*batch"], barrier_thickness: float
) -> Float[Tensor, "*batch"]:
    """Return the shift of the interface anisotropy by a voltage, ΔK_i = ξV/t_MgO, in J/m².

    Symbols: ξ coefficient (J/(V m)); V voltage (V), positive raises K_i; t_MgO barrier (m). Linear
    in V; measured ξ are 30 to 300 fJ/(V m).
    """
    return coefficient * voltage / barrier_thickness


def johnson_voltage(temperature: float) -> float:
    """Return 2kT/q in volts, where shot noise overtakes Johnson noise: 52 mV at 300 K."""
    return 2 * thermal_energy(temperature) / ELEMENTARY_CHARGE
