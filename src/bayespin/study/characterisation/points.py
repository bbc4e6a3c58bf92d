"""The operating points of a pillar's characterisation: which, and the stack at each of them."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import torch

from bayespin.device import presets, stochastic_mtj
from bayespin.device.stochastic_mtj import StochasticMtj
from bayespin.device.table import FEWEST_SETTINGS
from bayespin.physics import free_layer
from bayespin.physics.stack import StackPoints
from bayespin.shapes import Float, Tensor
from bayespin.study.characterisation.schema import PillarCharacterisation
from bayespin.study.characterisation.sections import Stack, Sweep

Varied = Literal["setting", "stray_field", "read_voltage", "in_plane_anisotropy", "stability"]
SIDE_SWEEPS: dict[Varied, str] = {
    "stray_field": "stray_fields",
    "read_voltage": "read_voltages",
    "in_plane_anisotropy": "in_plane_anisotropies",
}
"""What is varied beside settings and temperature, and the list of it in [sweep]."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One operating point, in SI."""

    setting: float
    """K_i at the reference temperature, J/m²."""
    temperature: float
    stray_field: float
    read_voltage: float
    gate_voltage: float
    """Held over the junction, V; 0 but for a volatile gate."""
    in_plane_anisotropy: float
    """B_ip, T."""
    varied: Varied
    """Which sweep it belongs to: points of "setting" make the table."""

    @property
    def bias(self) -> float:
        """Voltage over the junction while it is read."""
        return self.read_voltage + self.gate_voltage


def pillar_of(stack: Stack, sweep: Sweep) -> StochasticMtj:
    """Return the junction of a preset with what is changed in it.

    Raises:
        InputError: no such preset.
        ValueError: an impossible change.
    """
    pillar = presets.junction(stack.preset)
    names = ("saturation_magnetisation", "diameter", "thickness", "damping")
    given = {name: getattr(stack, name) for name in names}
    layer = replace(pillar.layer, **{n: v for n, v in given.items() if v is not None})
    orientation = stack.orientation or pillar.orientation
    if not (sweep.settings or sweep.gate_voltages):
        if orientation != pillar.orientation:
            raise ValueError(
                f"`sweep.settings` must be given for `stack.orientation` = {orientation}, since "
                f"the preset's levels lie on the other side of compensation, but are missing."
            )
        return replace(pillar, layer=layer, orientation=orientation)
    # The preset's own levels, which might not suit the changes, are not used.
    limit = free_layer.shape_anisotropy(layer) * layer.thickness
    low, high = (0.1, 0.9) if orientation == "easy-plane" else (1.1, 2.0)
    return replace(
        pillar,
        layer=layer,
        orientation=orientation,
        anisotropy_low=low * limit,
        anisotropy_high=high * limit,
    )


def settings_of(pillar: StochasticMtj, stack: Stack, sweep: Sweep) -> Float[Tensor, " settings"]:
    """Return the settings that are swept, J/m².

    Raises:
        ValueError: gate voltages without the anisotropy that they shift.
    """
    if sweep.settings:
        return torch.tensor(sweep.settings, dtype=torch.float64)
    if sweep.gate_voltages:
        if stack.interface_anisotropy is None:
            raise ValueError(
                "`stack.interface_anisotropy` must be given for `sweep.gate_voltages`, which "
                "shift it, but is missing."
            )
        voltages = torch.tensor(sweep.gate_voltages, dtype=torch.float64)
        shift = stochastic_mtj.anisotropy_shift(pillar, voltages)
        return stack.interface_anisotropy + shift
    levels = pillar.level_settings()
    if sweep.levels is None:
        return levels
    if sweep.levels > len(levels):
        raise ValueError(
            f"`sweep.levels` must be at most {len(levels)}, the preset's, but is {sweep.levels}."
        )
    return levels[torch.linspace(0, len(levels) - 1, sweep.levels).round().long()]


class Sweeps:
    """All operating points of a characterisation, and the stack at each.

    Raises:
        InputError: no such preset.
        ValueError: an impossible value, or settings of the wrong sign of K_eff.
    """

    def __init__(self, characterisation: PillarCharacterisation) -> None:
        stack, sweep = characterisation.stack, characterisation.sweep
        self.pillar = pillar_of(stack, sweep)
        self.orientation = self.pillar.orientation
        self.settings = settings_of(self.pillar, stack, sweep)
        for name, count in (("settings", FEWEST_SETTINGS), ("temperatures", 1)):
            values = self.settings.tolist() if name == "settings" else sweep.temperatures
            if len(set(values)) != len(values) or len(values) < count:
                raise ValueError(
                    f"`sweep.{name}` must hold at least {count} values, all different, for a "
                    f"table, but holds {len(values)}, {len(set(values))} of them different."
                )
        self._gate_voltages = dict(zip(self.settings.tolist(), sweep.gate_voltages, strict=False))
        self.points = self._grid(sweep) + self._sides(sweep) + self._beyond(sweep)
        self._require_orientation()

    def _grid(self, sweep: Sweep) -> list[Point]:
        return [
            self._point(sweep, "setting", setting, temperature=temperature)
            for temperature in sweep.temperatures
            for setting in self.settings.tolist()
        ]

    def _sides(self, sweep: Sweep) -> list[Point]:
        return [
            self._point(sweep, varied, setting, **{varied: value})
            for varied, values in SIDE_SWEEPS.items()
            for value in getattr(sweep, values)[1:]
            for setting in self.settings.tolist()
        ]

    def _beyond(self, sweep: Sweep) -> list[Point]:
        """Return points of a wanted Δ, by the setting that has it."""
        temperature = sweep.temperatures[0]
        layer = free_layer.layer_at(self.pillar.layer, self.pillar.thermal, temperature)
        one = torch.ones((), dtype=torch.float64)
        fallen = free_layer.interface_anisotropy_at(one, self.pillar.thermal, temperature)
        sign = -1 if self.orientation == "easy-plane" else 1
        per_stability = free_layer.thermal_energy(temperature) / layer.volume
        shape, found = free_layer.shape_anisotropy(layer), []
        for wanted in sweep.stabilities:
            setting = layer.thickness * (shape + sign * wanted * per_stability) / float(fallen)
            found.append(self._point(sweep, "stability", setting))
        return found

    def _point(self, sweep: Sweep, varied: Varied, setting: float, **changed: float) -> Point:
        middle: dict[str, Any] = {"temperature": sweep.temperatures[0]}
        middle |= {name: getattr(sweep, values)[0] for name, values in SIDE_SWEEPS.items()}
        middle["gate_voltage"] = self._gate_voltages.get(setting, 0.0)
        return Point(setting=setting, varied=varied, **(middle | changed))

    def _require_orientation(self) -> None:
        wanted = -1 if self.orientation == "easy-plane" else 1
        for point, value in zip(self.points, self._anisotropy.tolist(), strict=True):
            if not wanted * value > 0:
                limit = free_layer.shape_anisotropy(self.pillar.layer) * self.pillar.layer.thickness
                side = "below" if wanted < 0 else "above"
                raise ValueError(
                    f"`sweep.settings` must stay {side} compensation, {1e3 * limit:.5g} mJ/m2, for "
                    f"the orientation {self.orientation}, but one is {1e3 * point.setting:.5g} "
                    f"mJ/m2 at {point.read_voltage:g} V and {point.temperature:g} K."
                )

    def each(self, name: str) -> Float[Tensor, " points"]:
        """Return one number of every point."""
        return torch.tensor([getattr(one, name) for one in self.points], dtype=torch.float64)

    @property
    def magnetisation(self) -> Float[Tensor, " points"]:
        """M_s at the temperature of each point, A/m."""
        layers = [
            free_layer.layer_at(self.pillar.layer, self.pillar.thermal, one.temperature)
            for one in self.points
        ]
        return torch.tensor([one.saturation_magnetisation for one in layers], dtype=torch.float64)

    @cached_property
    def _anisotropy(self) -> Float[Tensor, " points"]:
        """K_eff at each point, J/m³."""
        shift = stochastic_mtj.anisotropy_shift(self.pillar, self.each("read_voltage"))
        settings = self.each("setting") + shift
        each = zip(settings, self.points, strict=True)
        return torch.stack(
            [stochastic_mtj.effective_anisotropy(self.pillar, k, p.temperature) for k, p in each]
        )

    @property
    def field(self) -> Float[Tensor, " points"]:
        """What acts along u as a field: the stray field and the spin torque of the bias, T."""
        torques = [
            stochastic_mtj.torque_field(self.pillar, torch.tensor(one.bias), one.temperature)
            for one in self.points
        ]
        return self.each("stray_field") + torch.stack(torques).double()

    @cached_property
    def stack(self) -> StackPoints:
        """The same points as the physics takes them."""
        return StackPoints(
            layer=self.pillar.layer,
            orientation=self.orientation,
            anisotropy=self._anisotropy,
            temperature=self.each("temperature"),
            saturation_magnetisation=self.magnetisation,
            stray_field=self.field,
            in_plane_anisotropy=self.each("in_plane_anisotropy") * self.magnetisation / 2,
        )
