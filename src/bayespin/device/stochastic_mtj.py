"""The tunable stochastic junction: a level of anisotropy in, a Gaussian conductance out.

A free layer near compensation under a reference at right angles to its rest: an easy plane under a
perpendicular reference (u = m_z), or a perpendicular layer under an in-plane one (u = m_x). Its
conductance fluctuates about G0 with the relative spread P² s_T; the anisotropy, set by a gate, sets
s_T. Closed forms that `physics.macrospin` tests, vectorised over K_i at 300 K in J/m².
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch

from bayespin.cite import cites
from bayespin.device.stochastic import Fluctuation, Gate, ReadPoint
from bayespin.numerics.interpolation import tabulated
from bayespin.physics import equilibrium, relaxation, spin_torque, transport
from bayespin.physics import free_layer as free
from bayespin.physics.free_layer import REFERENCE_TEMPERATURE, FreeLayer, ThermalLaw
from bayespin.physics.transport import Quantity
from bayespin.shapes import Bool, Float, Tensor
from bayespin.units import Unit

GAUSSIAN_STABILITY = 5.0
"""Δ from which the law of u is Gaussian: |excess kurtosis| < 0.13, KS distance < 0.003."""


@dataclass(frozen=True, kw_only=True)
class StochasticMtj:
    """A pillar whose interface anisotropy K_i has levels that a gate sets.

    Non-volatile gate: K_i stays as written. Volatile gate: K_i = K_i0 + ξV_g/t_MgO while V_g is
    held over the barrier, where the read voltage adds to it.

    Raises:
        ValueError: a quantity is out of range, K_i on the wrong side of compensation, or a held
            voltage beyond breakdown.
    """

    layer: FreeLayer
    """At 300 K."""
    orientation: Literal["easy-plane", "perpendicular"] = "easy-plane"
    """Easy plane: K_eff < 0, u = m_z. Perpendicular: K_eff > 0, u = m_x."""
    thermal: ThermalLaw | None = None
    """How M_s and K_i fall with temperature; without it they stay as at 300 K."""
    in_plane_field: Annotated[float, Unit("T")] = 0.0
    """2K_ip/M_s of an out-of-round pillar, for an easy plane only."""
    tmr: float
    """(G_P − G_AP)/G_AP at zero bias, as a fraction."""
    half_voltage: Annotated[float, Unit("V")]
    """Bias that halves the TMR."""
    resistance_area: Annotated[float, Unit("Ohm m2")]
    """Of the parallel state."""
    anisotropy_low: Annotated[float, Unit("J/m2")]
    anisotropy_high: Annotated[float, Unit("J/m2")]
    levels: int
    gate: Gate
    voltage_control: Annotated[float, Unit("J/(V m)")]
    """Shift of K_i by a voltage over the barrier, ξ."""
    barrier_thickness: Annotated[float, Unit("m")]
    anisotropy_unbiased: Annotated[float | None, Unit("J/m2")] = None
    """K_i0 at zero volts, of a volatile gate only."""
    breakdown_field: Annotated[float, Unit("V/m")] = 1e9
    """Of the barrier; bounds the voltages of a volatile gate."""

    def __post_init__(self) -> None:
        positive = ("tmr", "half_voltage", "resistance_area", "barrier_thickness")
        for name in (*positive, "breakdown_field"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be positive, but is {getattr(self, name):g}.")
        if self.levels < 2:
            raise ValueError(f"`levels` must be at least 2, but is {self.levels}.")
        if not 0 <= self.anisotropy_low < self.anisotropy_high:
            raise ValueError(
                f"`anisotropy_low` must lie in [0, anisotropy_high), but is "
                f"{self.anisotropy_low:g} J/m2 against {self.anisotropy_high:g} J/m2."
            )
        _check_compensation(self)
        _check_in_plane(self)
        _check_held_voltages(self)

    def level_settings(self) -> Float[Tensor, " levels"]:
        """Return `level_anisotropies`: a setting is K_i at 300 K in J/m²."""
        return level_anisotropies(self)

    def fluctuation(
        self,
        setting: Float[Tensor, "*#batch"],
        read: ReadPoint,
        stray_field: float | Float[Tensor, "*#batch"] = 0.0,
    ) -> Fluctuation:
        """Return mean, deviation and memory of the conductance at each K_i (J/m²).

        G = G0 (1 + P² ⟨u⟩), σ_G = G0 P² s_T, τ: `mean_shift`, `read_spread`, `memory` at
        K_i + ξV/t_MgO, in the stray field and the one of the spin torque (`torque_field`), G0 and
        P² at the bias, to which a held gate voltage adds.
        """
        bias = read.voltage + gate_voltage(self, setting)
        anisotropy = setting + anisotropy_shift(self, setting.new_tensor(read.voltage))
        field = torch.as_tensor(stray_field, dtype=setting.dtype, device=setting.device)
        pushed = field + torque_field(self, bias, read.temperature)
        shift = mean_shift(self, anisotropy, pushed, read.temperature)
        spread = read_spread(self, anisotropy, read.temperature, read.window)
        mean, amplitude = _electrical(self, bias)
        return Fluctuation(
            mean=mean + amplitude * shift,
            deviation=(amplitude * spread).expand_as(shift),
            correlation_time=memory(self, anisotropy, read.temperature).expand_as(shift),
        )


def _check_compensation(mtj: StochasticMtj) -> None:
    limit = free.shape_anisotropy(mtj.layer) * mtj.layer.thickness
    if mtj.orientation == "easy-plane" and not mtj.anisotropy_high < limit:
        raise ValueError(
            f"`anisotropy_high` must stay below compensation, {limit:.4g} J/m2, for an easy "
            f"plane, but is {mtj.anisotropy_high:.4g} J/m2."
        )
    if mtj.orientation == "perpendicular" and not mtj.anisotropy_low > limit:
        raise ValueError(
            f"`anisotropy_low` must exceed compensation, {limit:.4g} J/m2, for a perpendicular "
            f"layer, but is {mtj.anisotropy_low:.4g} J/m2."
        )


def _check_in_plane(mtj: StochasticMtj) -> None:
    allowed = 1.0 if mtj.orientation == "easy-plane" else 0.0
    if not 0 <= mtj.in_plane_field <= allowed:
        raise ValueError(
            f"`in_plane_field` must lie in [0, {allowed:g}] T for this orientation, but is "
            f"{mtj.in_plane_field:g} T."
        )


def _check_held_voltages(mtj: StochasticMtj) -> None:
    volatile = mtj.gate.kind == "volatile"
    if volatile != (mtj.anisotropy_unbiased is not None):
        wanted, found = ("given", "missing") if volatile else ("left out", "given")
        raise ValueError(
            f"`anisotropy_unbiased` must be {wanted} for a {mtj.gate.kind} gate, but is {found}."
        )
    if volatile and mtj.voltage_control == 0:
        raise ValueError("`voltage_control` must not be 0 for a volatile gate, but is.")
    ends = torch.tensor([mtj.anisotropy_low, mtj.anisotropy_high], dtype=torch.float64)
    largest = float(gate_voltage(mtj, ends).abs().max())
    limit = mtj.breakdown_field * mtj.barrier_thickness
    if not largest <= limit:
        raise ValueError(
            f"The levels must be held with at most {limit:.3g} V, where the barrier breaks down, "
            f"but need {largest:.3g} V; bring them closer to `anisotropy_unbiased`."
        )


def gate_voltage(mtj: StochasticMtj, anisotropy: Float[Tensor, "*batch"]) -> Float[Tensor, "..."]:
    """Return the voltage held over the barrier for a setting, V_g = (K_i − K_i0) t_MgO/ξ, in volts.

    Symbols: K_i `anisotropy` (J/m²), K_i0 that without a voltage; ξ (J/(V m)). 0 for a non-volatile
    gate.
    """
    if mtj.anisotropy_unbiased is None:
        return anisotropy.new_zeros(())
    per_volt = mtj.voltage_control / mtj.barrier_thickness
    return (anisotropy - mtj.anisotropy_unbiased) / per_volt


def level_anisotropies(mtj: StochasticMtj) -> Float[Tensor, " levels"]:
    """Return the interface anisotropy of each level in J/m², level 0 the smallest spread.

    |B_k| falls geometrically from level 0 to the last: B_k(j) = B_0 (B_n/B_0)^{j/(n−1)}.

    Why geometric: s ∝ B_k^{−1/2}, and s_T ∝ B_k^{−1} once the window exceeds τ, so the ratio of
    neighbouring spreads stays between r^{1/2} and r for a field ratio r. A relative error of σ is
    what a posterior feels, so steps of equal ratio spend the levels evenly; equal steps of K_i
    would crowd them at the floor.
    """
    ends = torch.tensor([mtj.anisotropy_low, mtj.anisotropy_high], dtype=torch.float64)
    fields = easy_plane_field(mtj, ends)
    stiff, soft = fields.abs().sort(descending=True).values.log().unbind()
    steps = torch.linspace(0, 1, mtj.levels, dtype=torch.float64)
    signed = torch.sign(fields[0]) * torch.exp(torch.lerp(stiff, soft, steps))
    return free.interface_anisotropy_for_field(mtj.layer, signed)


def effective_anisotropy(
    mtj: StochasticMtj,
    anisotropy: Float[Tensor, "*batch"],
    temperature: float = REFERENCE_TEMPERATURE,
) -> Float[Tensor, "*batch"]:
    """Return K_eff(T) = K_i(T)/t − (N_z − N_x) µ0 M_s(T)²/2 in J/m³; negative is an easy plane.

    Symbols: `anisotropy` K_i at 300 K (J/m²); T `temperature` (K). Near compensation two large
    terms cancel, so K_eff moves far more than either: see `free_layer.ThermalLaw`.
    """
    layer = free.layer_at(mtj.layer, mtj.thermal, temperature)
    interface = free.interface_anisotropy_at(anisotropy, mtj.thermal, temperature)
    return free.effective_anisotropy(layer, interface)


def easy_plane_field(
    mtj: StochasticMtj,
    anisotropy: Float[Tensor, "*batch"],
    temperature: float = REFERENCE_TEMPERATURE,
) -> Float[Tensor, "*batch"]:
    """Return the easy-plane field B_k = −2K_eff/M_s in tesla; negative means perpendicular.

    Symbols: K_eff as in `effective_anisotropy`; M_s(T) (A/m); `anisotropy` K_i at 300 K (J/m²).
    """
    layer = free.layer_at(mtj.layer, mtj.thermal, temperature)
    effective = effective_anisotropy(mtj, anisotropy, temperature)
    return -2 * effective / layer.saturation_magnetisation


def stability(
    mtj: StochasticMtj, anisotropy: Float[Tensor, "*batch"], temperature: float
) -> Float[Tensor, "*batch"]:
    """Return Δ = |K_eff(T)|V/kT at an interface anisotropy (J/m², at 300 K) and temperature (K)."""
    effective = effective_anisotropy(mtj, anisotropy, temperature)
    return free.stability_factor(mtj.layer, effective, temperature)


def correlation_time(
    mtj: StochasticMtj,
    anisotropy: Float[Tensor, "*batch"],
    temperature: float = REFERENCE_TEMPERATURE,
) -> Float[Tensor, "*batch"]:
    """Return τ = (1 + α²)/(αγB_k) in seconds, linear theory: see `relaxation`, and `memory`."""
    field = easy_plane_field(mtj, anisotropy, temperature).abs()
    return relaxation.correlation_time(mtj.layer.damping, field)


@cites("10.1103/PhysRev.130.1677")
def memory(
    mtj: StochasticMtj, anisotropy: Float[Tensor, "*batch"], temperature: float
) -> Float[Tensor, "*batch"]:
    """Return the time in seconds in which u forgets, beyond linear theory.

    Easy plane: τ_N/λ1τ_N, the slowest mode of the Fokker-Planck equation, above `correlation_time`
    by 5 % at Δ = 13. Perpendicular: the envelope of the precession, `precession_memory`, below it.

    Symbols: `anisotropy` K_i at 300 K (J/m²); `temperature` (K).
    """
    return _along_field(mtj, lambda k: _memory(mtj, k, temperature), anisotropy)


def _memory(mtj: StochasticMtj, anisotropy: Tensor, temperature: float) -> Tensor:
    layer = free.layer_at(mtj.layer, mtj.thermal, temperature)
    delta = stability(mtj, anisotropy, temperature)
    if mtj.orientation == "easy-plane":
        diffusion = relaxation.free_diffusion_time(layer, temperature)
        return diffusion / relaxation.easy_plane_rate(delta)
    time = correlation_time(mtj, anisotropy, temperature)
    omega = 1 / (mtj.layer.damping * time)  # γB_k/(1 + α²)
    return relaxation.precession_memory(time, omega, delta)


@cites("arXiv:1902.03312")
def read_spread(
    mtj: StochasticMtj, anisotropy: Float[Tensor, "*batch"], temperature: float, window: float
) -> Float[Tensor, "*batch"]:
    """Return s_T, the standard deviation of u averaged over a read window.

    Easy plane: s_T = s(Δ) √{(2/r)[1 − (1 − e^{−r})/r]}, r = T_r/τ; s(Δ) of exp(−Δu²) on [−1, 1];
    out of round times `relaxation.out_of_round_factor`. Perpendicular: s(Δ) times
    `relaxation.dephasing_window_factor`.

    Symbols: Δ stability factor at `temperature` (K); T_r `window` (s); τ `memory` (s);
    `anisotropy` K_i at 300 K (J/m²). The conductance then has the standard deviation G0 P² s_T.

    Source: Kaiser et al. (2019) for the layer. Valid as a Gaussian for Δ >= 5 (`is_gaussian`), an
    easy plane; Δ >= 10 for the window of a perpendicular layer; stray fields well below B_k.
    """
    return _along_field(mtj, lambda k: _spread(mtj, k, temperature, window), anisotropy)


def _along_field(
    mtj: StochasticMtj, curve: Callable[[Tensor], Tensor], anisotropy: Tensor
) -> Tensor:
    """Return a curve of K_i, of many settings by a table of equal steps of ln |B_k|: to 2e-5."""
    fields = easy_plane_field(mtj, anisotropy)
    sign = -1 if mtj.orientation == "perpendicular" else 1

    def of_field(logarithm: Tensor) -> Tensor:
        return curve(free.interface_anisotropy_for_field(mtj.layer, sign * logarithm.exp()))

    return tabulated(of_field, fields.abs().log())


def _spread(mtj: StochasticMtj, anisotropy: Tensor, temperature: float, window: float) -> Tensor:
    delta = stability(mtj, anisotropy, temperature)
    if mtj.orientation == "perpendicular":
        time = correlation_time(mtj, anisotropy, temperature)
        omega = 1 / (mtj.layer.damping * time)
        factor = relaxation.dephasing_window_factor(window, time, omega, delta)
        return equilibrium.perpendicular_std(delta) * factor
    spread = equilibrium.easy_plane_std(delta)
    ratio = window / _memory(mtj, anisotropy, temperature)
    if mtj.in_plane_field > 0:
        layer = free.layer_at(mtj.layer, mtj.thermal, temperature)
        moment = layer.saturation_magnetisation * layer.volume
        barrier = moment * mtj.in_plane_field / (4 * free.thermal_energy(temperature))
        speed = 2 * spread / layer.damping
        spread = spread * relaxation.out_of_round_factor(ratio, speed, barrier)
    return spread * relaxation.window_factor(ratio)


def spread_window(mtj: StochasticMtj, temperature: float, window: float) -> tuple[float, float]:
    """Return (floor, cap): the smallest and largest `read_spread` over the levels."""
    spreads = read_spread(mtj, level_anisotropies(mtj), temperature, window)
    return float(spreads.min()), float(spreads.max())


def mean_shift(
    mtj: StochasticMtj,
    anisotropy: Float[Tensor, "*#batch"],
    stray_field: Float[Tensor, "*#batch"],
    temperature: float,
) -> Float[Tensor, "*batch"]:
    """Return the mean of u in a field along the reference.

    Easy plane: mean of exp(−Δu² + bu) on [−1, 1]; perpendicular: `equilibrium.perpendicular_mean`;
    b = M_s V B/kT. Both are about B/B_k for B ≪ B_k.

    Symbols: `anisotropy` K_i at 300 K (J/m²); B `stray_field` (T), signed; Δ stability factor at
    `temperature` (K). The conductance shifts by G0 P² times this, so μ and σ couple.
    """
    layer = free.layer_at(mtj.layer, mtj.thermal, temperature)
    moment = layer.saturation_magnetisation * layer.volume
    zeeman = moment * stray_field / free.thermal_energy(temperature)
    delta, zeeman = torch.broadcast_tensors(stability(mtj, anisotropy, temperature), zeeman)
    if mtj.orientation == "perpendicular":
        return equilibrium.perpendicular_mean(delta, zeeman)
    return equilibrium.easy_plane_mean(delta, zeeman)


@cites("10.1103/PhysRevB.71.024411", "10.1038/nphys783")
def torque_field(
    mtj: StochasticMtj, voltage: Float[Tensor, "*batch"], temperature: float
) -> Float[Tensor, "*batch"]:
    """Return the field along the reference that acts on u as the spin torque of a bias, b/α, in T.

    b = ħ√(P²) G0 V/(2eM_s A t), `spin_torque.slonczewski_field`, for V > 0 towards the reference:
    the free layer is positive, so that electrons come from the reference and K_i rises.

    Derivation: in ṁ = −γ m×(b m×p) + α m×ṁ the torque is −γ/(1 + α²) [b m×(m×p) − αb m×p], that of
    a field b/α along p but for a precession about p; where p is the axis of an easy plane, that
    leaves m_z alone. So its law is exactly exp[−Δu² + M_sV(B + b/α)u/kT]. On a perpendicular layer
    under p = x̂ the balance is m_x = 0, m_y = ±b/B_k at any damping: the field is 0 to first order.

    Symbols: P² = TMR/(TMR + 2) without bias; V (V); A area, t thickness of the free layer. At a
    fixed voltage the torque does not depend on the angle but for the sine.

    Source: Slonczewski (2005); Sankey et al. (2008) for the angle. No field-like torque.
    """
    if mtj.orientation == "perpendicular":
        return torch.zeros_like(voltage)
    layer = free.layer_at(mtj.layer, mtj.thermal, temperature)
    density = mean_conductance(mtj) * voltage / layer.area
    polarisation = math.sqrt(transport.polarisation_product(mtj.tmr))
    moment = layer.saturation_magnetisation / polarisation
    field = spin_torque.slonczewski_field(1.0, density, moment, layer.thickness)
    return torch.as_tensor(field) / layer.damping


def mean_conductance(mtj: StochasticMtj, voltage: float = 0.0) -> float:
    """Return G0 = (G_P + G_AP)/2 in siemens at a bias voltage (V), with G_P independent of it."""
    return _electrical(mtj, voltage)[0]


def conductance_amplitude(mtj: StochasticMtj, voltage: float = 0.0) -> float:
    """Return G0 P² = (G_P − G_AP)/2 in siemens: the conductance per unit of u at a bias (V)."""
    return _electrical(mtj, voltage)[1]


def _electrical(mtj: StochasticMtj, bias: Quantity) -> tuple[Quantity, Quantity]:
    """Return G0 and G0 P² in siemens at a bias (V)."""
    tmr = transport.tmr_at_bias(mtj.tmr, bias, mtj.half_voltage)
    mean = transport.mean_conductance(mtj.resistance_area, mtj.layer.area, tmr)
    parallel = transport.parallel_conductance(mtj.resistance_area, mtj.layer.area)
    return mean, parallel - mean


def anisotropy_shift(
    mtj: StochasticMtj, voltage: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """Return the shift of K_i by a read voltage (V), ξV/t_MgO in J/m²: σ then depends on it."""
    return transport.voltage_controlled_anisotropy(
        mtj.voltage_control, voltage, mtj.barrier_thickness
    )


def is_gaussian(
    mtj: StochasticMtj, anisotropy: Float[Tensor, "*batch"], temperature: float
) -> Bool[Tensor, "*batch"]:
    """Return where the law of u may be taken as Gaussian: Δ >= 5 on its side of compensation."""
    easy = easy_plane_field(mtj, anisotropy, temperature) > 0
    return (easy == (mtj.orientation == "easy-plane")) & (
        stability(mtj, anisotropy, temperature) >= GAUSSIAN_STABILITY
    )
