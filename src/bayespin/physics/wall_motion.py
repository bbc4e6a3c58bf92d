"""How fast a domain wall moves and spreads: closed forms of the rigid one-dimensional wall.

The wall is |up|down> along +x: m_z = −tanh((x − q)/Δ), magnetised along the angle φ in its middle,
φ = 0 along +x. A field along +z, a spin-Hall field on a wall with φ = 0, and the drift u of the
electrons all drive it along +x. With h = B_p/2, p = π/2 (micromagnetics.md §5.8):

αq̇/Δ + φ̇ = γ(B + p B_SH cos φ) + βu/Δ,   q̇/Δ − αφ̇ = γ(h sin 2φ + p B_D sin φ) + u/Δ.

For |down|up> reverse B and B_SH, and φ. B_p > 0 is a hard axis across the track (along y: the wall
likes to be a Néel wall), B_p < 0 one along it (Bloch wall); B_D > 0 favours φ = 0.
"""

import math

import torch

from bayespin.cite import cites
from bayespin.constants import ELEMENTARY_CHARGE, GYROMAGNETIC_RATIO, REDUCED_PLANCK
from bayespin.physics.free_layer import thermal_energy
from bayespin.shapes import Float, Tensor


def hard_axis_field(hard_axis_anisotropy: float, saturation_magnetisation: float) -> float:
    """Return B_p = 2K_p/M_s in tesla, for an energy density K_p m_y² (J/m³) of either sign."""
    return 2 * hard_axis_anisotropy / saturation_magnetisation


@cites("10.1209/0295-5075/100/57002")
def dmi_field(dmi: float, saturation_magnetisation: float, wall_width: float) -> float:
    """Return B_D = D/(M_s Δ) in tesla; the wall energy holds −πD cos φ per area.

    Symbols: D interfacial DMI (J/m²), signed for an |up|down> wall with φ = 0 favoured by D > 0;
    M_s (A/m); Δ width parameter (m). The energy density D[m_z div m − (m·∇)m_z] of a film is
    +πD cos φ for this wall: pass −D of a `Film`.

    Source: Thiaville et al. (2012).
    """
    return dmi / (saturation_magnetisation * wall_width)


@cites("10.1063/1.1663252", "10.1209/0295-5075/100/57002")
def walker_field(damping: float, hard_axis: float, dmi: float = 0.0) -> float:
    """Return the largest field that moves a wall steadily, in tesla.

    B_W = α max over φ of |(B_p/2) sin 2φ + (π/2) B_D sin φ|, which is αB_p/2 without DMI and tends
    to α(π/2)B_D for B_D ≫ B_p.

    Symbols: α damping; B_p `hard_axis_field`, B_D `dmi_field` (T). With b = (π/2)|B_D| the maximum
    is at cos φ = 2|B_p|/(b + √(b² + 8B_p²)).

    Source: Schryer and Walker (1974); Thiaville et al. (2012).
    """
    p, b = abs(hard_axis), math.pi / 2 * abs(dmi)
    if p == 0:
        return damping * b
    cosine = 2 * p / (b + math.hypot(b, math.sqrt(8) * p))
    return damping * math.sqrt(1 - cosine**2) * (p * cosine + b)


@cites("10.1063/1.1663252")
def walker_angle(
    field: Float[Tensor, "*batch"], damping: float, hard_axis: float
) -> Float[Tensor, "*batch"]:
    """Return φ of a wall that moves steadily in a field B: sin 2φ = B/B_W, B_W = αB_p/2 > 0.

    Symbols: B field (T), |B| <= B_W; α damping; B_p > 0 (T). The exact solution has the width
    Δ(φ) = √(A/(K + K_p sin² φ)): `domain_wall.width_parameter(A, K + K_p sin² φ)`.

    Source: Schryer and Walker (1974).

    Raises:
        ValueError: a field exceeds B_W.
    """
    limit = walker_field(damping, hard_axis)
    if bool((field.abs() > limit).any()):
        raise ValueError(
            f"Argument `field` must not exceed the Walker field {limit:.4g} T, but reaches "
            f"{float(field.abs().max()):.4g} T."
        )
    return (field / limit).asin() / 2


@cites("10.1063/1.1663252", "10.1209/epl/i2004-10452-6", "10.1209/0295-5075/78/57007")
def mean_velocity(
    field: Float[Tensor, "*batch"],
    drift: Float[Tensor, "*batch"],
    *,
    wall_width: float | Float[Tensor, "*batch"],
    damping: float,
    hard_axis: float,
    nonadiabaticity: float = 0.0,
) -> Float[Tensor, "*batch"]:
    """Return the mean velocity of a wall in a field and a current, below and above breakdown.

    v = (Δ/α)(γB + βu/Δ − ⟨φ̇⟩), ⟨φ̇⟩ = sign(Ω) √(max(Ω² − γ²B_W², 0))/(1 + α²),
    Ω = γB + (β − α)u/Δ, B_W = α|B_p|/2.

    In a field alone this is γΔB/α below B_W and (γΔ/α)(B − √(B² − B_W²)/(1 + α²)) above; in a
    current alone (β/α)u while |u||1 − β/α| < u_c = γΔ|B_p|/2, and far above u(1 + αβ)/(1 + α²).

    Symbols: B field along z (T); u drift of the electrons (m/s); Δ width parameter (m), that of
    `walker_angle` for the exact solution; α damping; B_p `hard_axis_field` (T); β
    non-adiabaticity; γ (rad/(s T)). No DMI, no spin-Hall field, rigid Δ; above breakdown averaged
    over `breakdown_period`.

    Source: Schryer and Walker (1974); Thiaville et al. (2005); Mougin et al. (2007).
    """
    push = GYROMAGNETIC_RATIO * field + nonadiabaticity * drift / wall_width
    twist = push - damping * drift / wall_width
    limit = GYROMAGNETIC_RATIO * walker_field(damping, hard_axis)
    spin = (twist.square() - limit**2).clamp(min=0).sqrt() / (1 + damping**2)
    return wall_width / damping * (push - torch.sign(twist) * spin)


def breakdown_period(
    field: Float[Tensor, "*batch"], damping: float, hard_axis: float
) -> Float[Tensor, "*batch"]:
    """Return T = π(1 + α²)/(γ√(B² − B_W²)), in which φ turns by π above breakdown, in seconds.

    Symbols: B field (T), |B| > B_W = α|B_p|/2; α damping. Infinite at and below B_W.
    """
    excess = (field.square() - walker_field(damping, hard_axis) ** 2).clamp(min=0)
    return math.pi * (1 + damping**2) / (GYROMAGNETIC_RATIO * excess.sqrt())


@cites("10.1209/epl/i2004-10452-6")
def critical_drift(wall_width: float, hard_axis: float) -> float:
    """Return u_c = γΔ|B_p|/2 in m/s, below which a current with β = 0 does not move a wall."""
    return GYROMAGNETIC_RATIO * wall_width * abs(hard_axis) / 2


@cites("10.1209/0295-5075/100/57002")
def spin_hall_velocity(
    spin_hall_field: Float[Tensor, "*batch"], wall_width: float, damping: float, dmi: float
) -> Float[Tensor, "*batch"]:
    """Return the velocity of a chiral Néel wall under a spin-Hall torque, B_p = 0.

    v = γΔ(π/2)B_D B_SH/√(B_SH² + α²B_D²), which saturates at `saturation_velocity`.

    Symbols: B_SH = ħθ_SH J/(2eM_s t) (T, `spin_torque.spin_hall_field`); Δ width parameter (m); α
    damping; B_D `dmi_field` (T), not zero. The wall stands at `spin_hall_angle`.

    Source: Thiaville et al. (2012).
    """
    chirality = GYROMAGNETIC_RATIO * wall_width * math.pi / 2 * dmi
    return chirality * spin_hall_field / (spin_hall_field.square() + (damping * dmi) ** 2).sqrt()


def spin_hall_angle(
    spin_hall_field: Float[Tensor, "*batch"], damping: float, dmi: float
) -> Float[Tensor, "*batch"]:
    """Return φ of the wall of `spin_hall_velocity`, tan φ = B_SH/(αB_D), in rad.

    On the branch that a wall at rest (φ = 0 for B_D > 0, π for B_D < 0) turns to.
    """
    angle = (spin_hall_field / (damping * dmi)).atan()
    return angle if dmi > 0 else math.pi + angle


@cites("10.1209/0295-5075/100/57002")
def saturation_velocity(dmi: float, saturation_magnetisation: float) -> float:
    """Return γπD/(2M_s) in m/s, for D in J/m² and M_s in A/m: 251 m/s per mJ/m² at 1.1 MA/m."""
    return GYROMAGNETIC_RATIO * math.pi * dmi / (2 * saturation_magnetisation)


@cites("10.1209/0295-5075/100/57002")
def saturation_current_density(
    dmi: float, wall_width: float, damping: float, spin_hall_ratio: float, thickness: float
) -> float:
    """Return J_D = 2αetD/(ħθ_SH Δ) in A/m², at which B_SH = αB_D and v = v_sat/√2.

    Symbols: D (J/m²); Δ width parameter (m); α damping; θ_SH spin-Hall angle; t thickness (m).
    """
    charge = 2 * damping * ELEMENTARY_CHARGE * thickness * dmi
    return charge / (REDUCED_PLANCK * spin_hall_ratio * wall_width)


def locked_diffusion(
    wall_width: float, damping: float, moment_density: float, temperature: float
) -> float:
    """Return D_q = γΔkT/(2αM_sS) in m²/s, the diffusion constant of a wall with φ locked.

    ⟨(q(t) − q(0))²⟩ = 2D_q t for times well above 1/(αγB_p). Einstein's relation with the mobility
    γΔ/α and the force 2M_sSB.

    Symbols: Δ width parameter (m); α damping; M_sS moment per length of track (A m); T (K).
    """
    energy = thermal_energy(temperature)
    return GYROMAGNETIC_RATIO * wall_width * energy / (2 * damping * moment_density)


def free_diffusion(
    wall_width: float, damping: float, moment_density: float, temperature: float
) -> float:
    """Return D_q = αγΔkT/(2(1 + α²)M_sS) in m²/s, without anything that holds φ.

    Symbols as for `locked_diffusion`, which is (1 + α²)/α² times as large. Also that of a wall
    with a hard axis for times well below 1/(αγB_p).
    """
    locked = locked_diffusion(wall_width, damping, moment_density, temperature)
    return locked * damping**2 / (1 + damping**2)
