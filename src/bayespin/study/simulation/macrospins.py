"""A simulation of macrospins: physics from its sections, numbers from its trajectories."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch

from bayespin.device import presets
from bayespin.device.stochastic_mtj import anisotropy_shift, level_anisotropies
from bayespin.numerics.quadrature import LogDensity, cumulative, gauss_legendre, shape
from bayespin.physics import free_layer, relaxation
from bayespin.physics.drive import largest
from bayespin.physics.ensemble import Trajectories
from bayespin.physics.equilibrium import easy_plane_log_density
from bayespin.physics.free_layer import FreeLayer
from bayespin.physics.llg import largest_stable_step
from bayespin.physics.macrospin import Macrospins
from bayespin.physics.sampling import Law
from bayespin.physics.spin_torque import SpinTorque, slonczewski_field, spin_hall_field
from bayespin.physics.systems import MacrospinEnsemble
from bayespin.shapes import Float, Tensor
from bayespin.study.simulation import statistics, stepping
from bayespin.study.simulation.schema import MacrospinSimulation
from bayespin.study.simulation.sections import Drive, Layer, Pulse

STEP_FRACTION: Final = 0.2
"""Of the largest stable step: the variance of the stiffest precession is 0.2³ = 0.8 % too large."""
_LARGEST_BARRIER: Final = 100.0
"""|σ| up to which the exact correlation time is computed."""
_WEAKEST: Final = 1e-3
"""Least field that a time step is chosen for, T."""


@dataclass(frozen=True, kw_only=True)
class FreeLayers:
    """The operating points of a simulation: one free layer with several anisotropies."""

    layer: FreeLayer
    interface_anisotropy: Float[Tensor, " points"]
    """K_i, J/m²."""
    per_volt: float
    """What a volt adds to K_i, ξ/t_MgO, J/(V m²)."""
    temperature: float
    """K."""

    @classmethod
    def of(cls, chosen: Layer, temperature: float) -> "FreeLayers":
        """Return the free layer of a preset with what is changed in it.

        Raises:
            InputError: no such preset.
            ValueError: an impossible change.
        """
        pillar = presets.junction(chosen.preset)
        names = ("saturation_magnetisation", "diameter", "thickness", "damping")
        given = {name: getattr(chosen, name) for name in names}
        layer = replace(pillar.layer, **{n: v for n, v in given.items() if v is not None})
        settings = torch.tensor(chosen.interface_anisotropy, dtype=torch.float64)
        return cls(
            layer=layer,
            interface_anisotropy=settings if len(settings) else level_anisotropies(pillar),
            per_volt=float(anisotropy_shift(pillar, torch.ones((), dtype=torch.float64))),
            temperature=temperature,
        )

    def anisotropy(self, voltage: float) -> Float[Tensor, " points"]:
        """Return K_eff at a voltage over the barrier, J/m³."""
        settings = self.interface_anisotropy + self.per_volt * voltage
        return free_layer.effective_anisotropy(self.layer, settings)

    def shift(self, voltage: float) -> Float[Tensor, ""]:
        """Return what a voltage adds to K_eff, J/m³."""
        added = self.per_volt * voltage / self.layer.thickness
        return torch.tensor(added, dtype=torch.float64)

    def anisotropy_field(self, voltage: float) -> Float[Tensor, " points"]:
        """Return 2K_eff/M_s in tesla, negative for an easy plane."""
        return 2 * self.anisotropy(voltage) / self.layer.saturation_magnetisation

    def barrier(self, voltage: float) -> Float[Tensor, " points"]:
        """Return K_eff V/kT, negative for an easy plane."""
        energy = self.anisotropy(voltage) * self.layer.volume
        return energy / free_layer.thermal_energy(self.temperature)


def _torques(simulation: MacrospinSimulation, layer: FreeLayer) -> Iterator[SpinTorque]:
    drive, torque = simulation.drive, simulation.torque
    size = layer.saturation_magnetisation, layer.thickness

    def spin_hall(one: Drive | Pulse) -> Tensor:
        field = spin_hall_field(torque.spin_hall_angle, one.current_density, *size)
        return torch.tensor(field, dtype=torch.float64)

    def slonczewski(one: Drive | Pulse) -> Tensor:
        field = slonczewski_field(torque.polarisation, one.current_density, *size)
        return torch.tensor(field, dtype=torch.float64)

    if torque.spin_hall_angle:
        yield SpinTorque(
            direction=torch.tensor((0.0, 1.0, 0.0)),
            damping_like=stepping.driven(drive, spin_hall),
            field_like=stepping.driven(drive, lambda one: torque.field_like * spin_hall(one)),
        )
    if torque.polarisation:
        yield SpinTorque(
            direction=torch.tensor((0.0, 0.0, 1.0)),
            damping_like=stepping.driven(drive, slonczewski),
            asymmetry=torque.asymmetry,
        )


class MacrospinModel:
    """What a simulation of macrospins runs, and what is known of it without running.

    Raises:
        InputError: no such preset.
        ValueError: an impossible value, or a time step that is too large.
    """

    def __init__(self, simulation: MacrospinSimulation) -> None:
        run, drive = simulation.run, simulation.drive
        self.simulation = simulation
        self.points = FreeLayers.of(simulation.layer, run.temperature)
        layer = self.points.layer
        anisotropy = stepping.driven(
            drive, lambda one: self.points.shift(one.voltage), self.points.anisotropy(0.0)[:, None]
        )
        field = stepping.driven(drive, lambda one: torch.tensor(one.field, dtype=torch.float64))
        torques = tuple(_torques(simulation, layer))
        stiffest = 2 / layer.saturation_magnetisation * largest(anisotropy)
        stiffest += largest(field)
        stiffest += sum(torque.largest_field for torque in torques)
        stable = largest_stable_step(max(stiffest, _WEAKEST), layer.damping)
        self.system = MacrospinEnsemble(
            parameters=Macrospins(
                layer=layer,
                effective_anisotropy=anisotropy,
                applied_field=field,
                spin_torques=torques,
                temperature=run.temperature,
                time_step=stepping.time_step(run, stable, STEP_FRACTION),
            ),
            dtype=getattr(torch, run.dtype),
            device=run.device,
        )
        self.schedule = stepping.schedule(run, self.system.time_step)

    @cached_property
    def log_density(self) -> LogDensity | None:
        """The law of u = m_z at each point, ln p = σu² + bu with b = M_s V B_z/kT.

        Known for a constant voltage and a constant field along z alone, None otherwise.
        """
        drive, layer = self.simulation.drive, self.points.layer
        if not drive.still or any(drive.field[:2]):
            return None
        moment = layer.saturation_magnetisation * layer.volume
        zeeman = moment * drive.field[2] / free_layer.thermal_energy(self.points.temperature)
        barrier = self.points.barrier(drive.voltage)
        return easy_plane_log_density(-barrier, torch.full_like(barrier, zeeman))

    @cached_property
    def distributions(self) -> tuple[Float[Tensor, "points u"], Float[Tensor, "points u"]] | None:
        """Places u and the distribution function F(u) of each point, where the law is known."""
        if self.log_density is None:
            return None
        one = torch.ones_like(self.points.interface_anisotropy)
        return cumulative(self.log_density, -one, one, 8001)

    @property
    def laws(self) -> list[Law] | None:
        """The distribution function of each point, where it is known."""
        if self.distributions is None:
            return None
        return [
            lambda x, u=u, f=f: torch.from_numpy(np.interp(x.cpu(), u, f))
            for u, f in zip(*self.distributions, strict=True)
        ]

    def exact(self) -> dict[str, Float[Tensor, " points"]]:
        """Return what is known without simulating: moments of u and times in which it forgets."""
        drive, layer = self.simulation.drive, self.points.layer
        if self.log_density is None:
            return {}
        one = torch.ones_like(self.points.interface_anisotropy)
        law = shape(gauss_legendre(self.log_density, -one, one, 800))
        known = {"exact_mean": law.mean, "exact_std": law.std,
                 "exact_excess_kurtosis": law.excess_kurtosis}  # fmt: skip
        if drive.field[2]:
            return known
        barrier = self.points.barrier(drive.voltage)
        field = self.points.anisotropy_field(drive.voltage)
        linear = relaxation.correlation_time(layer.damping, field.abs())
        rate = relaxation.fokker_planck_rate(barrier.clamp(-_LARGEST_BARRIER, _LARGEST_BARRIER))
        slowest = relaxation.free_diffusion_time(layer, self.points.temperature) / rate
        inside = barrier.abs() <= _LARGEST_BARRIER
        return known | {
            "linear_time": torch.where(field < 0, linear, torch.nan),
            "exact_time": torch.where(inside, slowest, torch.nan),
        }

    def rows(self, found: Trajectories) -> list[dict[str, Any]]:
        """Return settings, exact values and statistics of each operating point."""
        voltage = self.simulation.drive.voltage
        settings = {
            "interface_anisotropy": self.points.interface_anisotropy,
            "anisotropy_field": self.points.anisotropy_field(voltage),
            "barrier": self.points.barrier(voltage),
            **self.exact(),
        }
        if self.simulation.drive.pulses:
            measured = statistics.last_record(found, "m_z")
        else:
            measured = statistics.stationary(found, "m_z", self.laws)
        if self.distributions is not None:
            laws = zip(*self.distributions, strict=True)
            measured = [
                n | {"law": statistics.curve(*law)} for n, law in zip(measured, laws, strict=True)
            ]
        return [
            {name: statistics.number(values[point]) for name, values in settings.items()}
            | numbers
            | {"failed": int((~found.sound[point]).sum())}
            for point, numbers in enumerate(measured)
        ]
