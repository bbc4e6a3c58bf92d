"""The tunable stochastic junction: a level of anisotropy in, a Gaussian conductance out.

An easy-plane free layer under a perpendicular reference. Its conductance fluctuates about G0 with
the relative spread P² s_T; the anisotropy, set by a gate, sets s_T. No time stepping here: closed
forms that `physics.macrospin` tests. Everything is vectorised over anisotropies (J/m² tensors).
"""

from dataclasses import dataclass
from typing import Annotated

import torch

from bayespin.cite import cites
from bayespin.device.stochastic import Fluctuation, Gate, ReadPoint
from bayespin.physics import equilibrium, relaxation, transport
from bayespin.physics import free_layer as free
from bayespin.physics.free_layer import FreeLayer
from bayespin.shapes import Bool, Float, Tensor
from bayespin.units import Unit

GAUSSIAN_STABILITY = 5.0
"""Δ from which the law of u is Gaussian: |excess kurtosis| < 0.13, KS distance < 0.003."""


@dataclass(frozen=True, kw_only=True)
class StochasticMtj:
    """An easy-plane pillar whose interface anisotropy K_i has non-volatile levels.

    `anisotropy_low` has the strongest easy plane, so the smallest spread (the floor) and the
    shortest correlation time; `anisotropy_high`, just below compensation, the largest (the cap).

    Raises:
        ValueError: a quantity is out of range, or K_i is not below compensation.
    """

    layer: FreeLayer
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

    def __post_init__(self) -> None:
        positive = ("tmr", "half_voltage", "resistance_area", "barrier_thickness")
        for name in positive:
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be positive, but is {getattr(self, name):g}.")
        if self.levels < 2:
            raise ValueError(f"`levels` must be at least 2, but is {self.levels}.")
        if not 0 <= self.anisotropy_low < self.anisotropy_high:
            raise ValueError(
                f"`anisotropy_low` must lie in [0, anisotropy_high), but is "
                f"{self.anisotropy_low:g} J/m2 against {self.anisotropy_high:g} J/m2."
            )
        limit = free.shape_anisotropy(self.layer) * self.layer.thickness
        if not self.anisotropy_high < limit:
            raise ValueError(
                f"`anisotropy_high` must stay below compensation, {limit:.4g} J/m2, for an easy "
                f"plane, but is {self.anisotropy_high:.4g} J/m2."
            )

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

        G = G0 (1 + P² ⟨u⟩), σ_G = G0 P² s_T, τ: `mean_shift`, `read_spread`, `correlation_time` at
        K_i + ξV/t_MgO, G0 and P² at the read voltage.
        """
        anisotropy = setting + anisotropy_shift(self, setting.new_tensor(read.voltage))
        field = torch.as_tensor(stray_field, dtype=setting.dtype, device=setting.device)
        spread = read_spread(self, anisotropy, read.temperature, read.window)
        shift = mean_shift(self, anisotropy, field, read.temperature)
        amplitude = conductance_amplitude(self, read.voltage)
        return Fluctuation(
            mean=mean_conductance(self, read.voltage) + amplitude * shift,
            deviation=(amplitude * spread).expand_as(shift),
            correlation_time=correlation_time(self, anisotropy).expand_as(shift),
        )


def level_anisotropies(mtj: StochasticMtj) -> Float[Tensor, " levels"]:
    """Return the interface anisotropy of each level in J/m², level 0 the smallest spread.

    B_k falls geometrically from level 0 to the last: B_k(j) = B_0 (B_n/B_0)^{j/(n−1)}.

    Why geometric: s ∝ B_k^{−1/2}, and s_T ∝ B_k^{−1} once the window exceeds τ, so the ratio of
    neighbouring spreads stays between r^{1/2} and r for a field ratio r. A relative error of σ is
    what a posterior feels, so steps of equal ratio spend the levels evenly; equal steps of K_i
    would crowd them at the floor.
    """
    ends = torch.tensor([mtj.anisotropy_low, mtj.anisotropy_high], dtype=torch.float64)
    low, high = easy_plane_field(mtj, ends).log().unbind()
    fields = torch.linspace(0, 1, mtj.levels, dtype=torch.float64)
    return free.interface_anisotropy_for_field(mtj.layer, torch.exp(torch.lerp(low, high, fields)))


def easy_plane_field(
    mtj: StochasticMtj, anisotropy: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """Return the easy-plane field B_k = −2K_eff/M_s in tesla; negative means no longer easy-plane.

    Symbols: K_eff = K_i/t − (N_z − N_x) µ0 M_s²/2 (J/m³); M_s (A/m); K_i `anisotropy` (J/m²).
    """
    effective = free.effective_anisotropy(mtj.layer, anisotropy)
    return -2 * effective / mtj.layer.saturation_magnetisation


def stability(
    mtj: StochasticMtj, anisotropy: Float[Tensor, "*batch"], temperature: float
) -> Float[Tensor, "*batch"]:
    """Return Δ = |K_eff|V/kT at an interface anisotropy (J/m²) and a temperature (K).

    K_eff is taken independent of temperature, so σ ∝ √T; a measured K_eff(T) would add to that.
    """
    effective = free.effective_anisotropy(mtj.layer, anisotropy)
    return free.stability_factor(mtj.layer, effective, temperature)


def correlation_time(
    mtj: StochasticMtj, anisotropy: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """Return the correlation time τ = (1 + α²)/(αγB_k) in seconds: see `relaxation`."""
    return relaxation.correlation_time(mtj.layer.damping, easy_plane_field(mtj, anisotropy).abs())


@cites("arXiv:1902.03312")
def read_spread(
    mtj: StochasticMtj, anisotropy: Float[Tensor, "*batch"], temperature: float, window: float
) -> Float[Tensor, "*batch"]:
    """Return s_T, the standard deviation of u averaged over a read window.

    s_T = s(Δ) √{(2/r)[1 − (1 − e^{−r})/r]}, r = T_r/τ; s(Δ) of exp(−Δu²) on [−1, 1].

    Symbols: Δ stability factor at `temperature` (K); T_r `window` (s); τ correlation time (s);
    `anisotropy` K_i (J/m²). The conductance then has the standard deviation G0 P² s_T.

    Source: Kaiser et al. (2019) for the layer. Valid for an easy plane with Δ >= 5 (`is_gaussian`),
    a round pillar (out-of-roundness costs 8 % of s_T at 1 mT), no stray field.
    """
    spread = equilibrium.easy_plane_std(stability(mtj, anisotropy, temperature))
    return spread * relaxation.window_factor(window / correlation_time(mtj, anisotropy))


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
    """Return the mean of u in a stray field along the reference.

    Mean of exp(−Δu² + bu) on [−1, 1], b = M_s V B/kT; about B/B_k for B ≪ B_k.

    Symbols: `anisotropy` K_i (J/m²); B `stray_field` (T), signed; Δ stability factor at
    `temperature` (K). The conductance shifts by G0 P² times this, so μ and σ couple.
    """
    moment = mtj.layer.saturation_magnetisation * mtj.layer.volume
    zeeman = moment * stray_field / free.thermal_energy(temperature)
    delta, zeeman = torch.broadcast_tensors(stability(mtj, anisotropy, temperature), zeeman)
    return equilibrium.easy_plane_mean(delta, zeeman)


def mean_conductance(mtj: StochasticMtj, voltage: float = 0.0) -> float:
    """Return G0 = (G_P + G_AP)/2 in siemens at a bias voltage (V), with G_P independent of it."""
    tmr = transport.tmr_at_bias(mtj.tmr, voltage, mtj.half_voltage)
    return transport.mean_conductance(mtj.resistance_area, mtj.layer.area, tmr)


def conductance_amplitude(mtj: StochasticMtj, voltage: float = 0.0) -> float:
    """Return G0 P² = (G_P − G_AP)/2 in siemens: the conductance per unit of u at a bias (V)."""
    tmr = transport.tmr_at_bias(mtj.tmr, voltage, mtj.half_voltage)
    return mean_conductance(mtj, voltage) * transport.polarisation_product(tmr)


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
    """Return where the law of u may be taken as Gaussian: an easy plane with Δ >= 5."""
    easy = easy_plane_field(mtj, anisotropy) > 0
    return easy & (stability(mtj, anisotropy, temperature) >= GAUSSIAN_STABILITY)
