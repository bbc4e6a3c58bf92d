"""A stochastic device from a table: σ and τ interpolated, with a bound on the error.

What the cell asks of a device, answered by numbers that were measured or simulated instead of by
closed forms.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import PchipInterpolator

from bayespin.cite import cites
from bayespin.constants import BOLTZMANN
from bayespin.device import stochastic_mtj
from bayespin.device.stochastic import Fluctuation, Gate, ReadPoint
from bayespin.device.stochastic_mtj import StochasticMtj
from bayespin.device.table import SpreadTable
from bayespin.load import InputError
from bayespin.numerics.interpolation import tabulated
from bayespin.physics import relaxation, transport
from bayespin.physics.transport import Quantity
from bayespin.shapes import Float, Tensor

TEMPERATURE_MARGIN = 40.0
"""K beyond the temperatures of a table to which its laws are continued."""
SETTING_MARGIN = 0.1
"""Of the range of settings, by which curves are continued beyond its ends; then they stay."""


@dataclass(frozen=True, kw_only=True)
class TabulatedDevice:
    """A device that is what a table says.

    With a `law`, means, bias, stray field and spin torque follow that junction, and the table gives
    σ and τ only. Without, the mean is the table's at any voltage, and a stray field B shifts it by
    linear response, ⟨δG⟩ = σ² m B/(kT A), if `moment` m and `amplitude` A are known; else not.

    Raises:
        ValueError: fewer than 2 levels, or σ does not rise or fall with the setting throughout.
        InputError: the law's levels leave the table's range.
    """

    table: SpreadTable
    gate: Gate
    levels: int = 16
    law: StochasticMtj | None = None
    moment: float | None = None
    """M_s V in A m²."""
    amplitude: float | None = None
    """(G_P − G_AP)/2 in S: conductance per unit of u."""

    def __post_init__(self) -> None:
        if self.levels < 2:
            raise ValueError(f"`levels` must be at least 2, but is {self.levels}.")
        sigma = self.table.grid("sigma")[self._nearest_room()]
        steps = sigma.diff()
        if not (bool((steps > 0).all()) or bool((steps < 0).all())):
            raise ValueError(
                "`sigma` must rise or fall with the setting throughout, but turns; leave out the "
                "settings on one side of the turn."
            )
        if self.law is not None:
            own, known = self.level_settings(), self.table.settings
            room = SETTING_MARGIN * (known[-1] - known[0])
            if own.min() < known[0] - room or own.max() > known[-1] + room:
                raise InputError(
                    f"The levels must lie within the table's settings, {float(known[0]):g} to "
                    f"{float(known[-1]):g}, but run from {float(own.min()):g} to "
                    f"{float(own.max()):g}; characterise that range."
                )

    def _nearest_room(self) -> int:
        """Return which of the table's temperatures is nearest to 300 K."""
        return int((self.table.temperatures - 300.0).abs().argmin())

    def level_settings(self) -> Float[Tensor, " levels"]:
        """Return the law's levels, or settings at equal ratios of σ; level 0 the smallest spread.

        σ_j = σ_min (σ_max/σ_min)^{j/(n−1)} at the table's temperature nearest to 300 K.
        """
        if self.law is not None:
            return stochastic_mtj.level_anisotropies(self.law)
        settings = self.table.settings
        fine = torch.linspace(0, 1, 20001, dtype=torch.float64)
        fine = settings[0] + (settings[-1] - settings[0]) * fine
        row = self._nearest_room()
        logarithm = _over_settings(settings, self.table.grid("sigma")[row].log(), fine)
        rising = logarithm[-1] > logarithm[0]
        curve, places = (logarithm, fine) if rising else (logarithm.flip(0), fine.flip(0))
        steps = torch.linspace(0, 1, self.levels, dtype=torch.float64)
        wanted = torch.lerp(curve[0], curve[-1], steps)
        found = np.interp(wanted.numpy(), curve.numpy(), places.numpy())
        return torch.from_numpy(found)

    def fluctuation(
        self,
        setting: Float[Tensor, "*#batch"],
        read: ReadPoint,
        stray_field: float | Float[Tensor, "*#batch"] = 0.0,
    ) -> Fluctuation:
        """Return mean, deviation and memory of the conductance at each setting.

        σ_T = σ F(T_r/τ), F of an exponential memory (`relaxation.window_factor`), or, where the
        table gives a `frequency` above 0, of a precession (`relaxation.precessing_window_factor`).

        Raises:
            InputError: the temperature is farther than `TEMPERATURE_MARGIN` from the table's.
        """
        check_temperature(self.table, read.temperature)
        law, moved, scale = self.law, setting, 1.0
        if law is not None:
            bias = read.voltage + stochastic_mtj.gate_voltage(law, setting)
            moved = setting + stochastic_mtj.anisotropy_shift(law, setting.new_tensor(read.voltage))
            scale = _amplitude(law, bias) / _amplitude(law, self._voltage)

        def curve(name: str) -> Tensor:
            return tabulated(lambda x: self._curve(name, x, read), moved)

        deviation, time = scale * curve("read"), curve("tau")
        if law is not None:
            mean = law.fluctuation(setting, read, stray_field).mean
        else:
            mean = curve("mean") + self._shift(curve("sigma"), stray_field, read.temperature)
        return Fluctuation(
            mean=mean,
            deviation=deviation.expand_as(mean),
            correlation_time=time.expand_as(mean),
        )

    @property
    def _voltage(self) -> float:
        """Voltage at which the table's σ was found."""
        return float(self.table.metadata.get("voltage", "0").split()[0])

    def _shift(
        self, sigma: Tensor, stray_field: float | Tensor, temperature: float
    ) -> float | Tensor:
        if self.moment is None or self.amplitude is None:
            return torch.zeros_like(torch.as_tensor(stray_field, dtype=sigma.dtype))
        energy = BOLTZMANN * temperature
        return sigma**2 * (self.moment / (energy * self.amplitude)) * stray_field

    def _curve(self, name: str, settings: Tensor, read: ReadPoint) -> Tensor:
        """Return a column, or `read`: σ after the window, at settings."""
        if name != "read":
            return column_at(self.table, name, settings, read.temperature)
        sigma = column_at(self.table, "sigma", settings, read.temperature)
        time = column_at(self.table, "tau", settings, read.temperature)
        if "frequency" in self.table.columns and bool((self.table.columns["frequency"] > 0).all()):
            hertz = column_at(self.table, "frequency", settings, read.temperature)
            phase = 2 * torch.pi * hertz * read.window
            return sigma * relaxation.precessing_window_factor(read.window / time, phase)
        return sigma * relaxation.window_factor(read.window / time)


def _amplitude(law: StochasticMtj, bias: Quantity) -> Quantity:
    """Return G0 P² at a bias (V) in S."""
    tmr = transport.tmr_at_bias(law.tmr, bias, law.half_voltage)
    mean = transport.mean_conductance(law.resistance_area, law.layer.area, tmr)
    return transport.parallel_conductance(law.resistance_area, law.layer.area) - mean


def check_temperature(table: SpreadTable, temperature: float) -> None:
    """Refuse a temperature (K) too far from a table's.

    Raises:
        InputError: farther than `TEMPERATURE_MARGIN`.
    """
    low, high = float(table.temperatures[0]), float(table.temperatures[-1])
    if not low - TEMPERATURE_MARGIN <= temperature <= high + TEMPERATURE_MARGIN:
        raise InputError(
            f"`temperature` must lie within {TEMPERATURE_MARGIN:g} K of the table's {low:g} to "
            f"{high:g} K, but is {temperature:g} K; add rows at that temperature."
        )


@cites("10.1137/0717021")
def column_at(
    table: SpreadTable, name: str, settings: Float[Tensor, " some"], temperature: float
) -> Float[Tensor, " some"]:
    """Return a column of a table at settings and a temperature (K).

    Monotone cubic (PCHIP) in ln y over the setting x, y ∝ T^n between temperatures. With one
    temperature T0: σ ∝ √(T/T0), the others constant.

    Source: Fritsch and Carlson (1980). Error: `interpolation_error`. Beyond the ends of the
    settings a curve keeps its last slope for `SETTING_MARGIN` of the range, then its value: there
    the error is foretold only, `continuation_error`.
    """
    logarithms = table.grid(name).log()
    curves = _over_settings(table.settings, logarithms, settings.double())
    return _over_temperatures(table.temperatures, curves, name, temperature).exp().to(settings)


def _over_settings(nodes: Tensor, logarithms: Tensor, places: Tensor) -> Tensor:
    """Return PCHIP curves, continued in a straight line for a margin; the last axis is places."""
    curve = PchipInterpolator(nodes.numpy(), logarithms.numpy(), axis=-1)
    low, high = float(nodes[0]), float(nodes[-1])
    room = SETTING_MARGIN * (high - low)
    x = np.clip(places.detach().cpu().numpy(), low - room, high + room)
    inside = np.clip(x, low, high)
    slope = curve.derivative()
    value = curve(inside)
    value = value + slope(low)[..., None] * np.minimum(x - low, 0)
    value = value + slope(high)[..., None] * np.maximum(x - high, 0)
    return torch.from_numpy(value)


def _over_temperatures(kelvins: Tensor, curves: Tensor, name: str, temperature: float) -> Tensor:
    """Return logarithms at a temperature from those at the table's, linear in ln T."""
    if len(kelvins) == 1:
        power = 0.5 if name == "sigma" else 0.0
        return curves[0] + power * float(np.log(temperature / float(kelvins[0])))
    upper = int(torch.searchsorted(kelvins, temperature).clamp(1, len(kelvins) - 1))
    low, high = float(kelvins[upper - 1]), float(kelvins[upper])
    share = float(np.log(temperature / low) / np.log(high / low))
    return curves[upper - 1] + share * (curves[upper] - curves[upper - 1])


def interpolation_error(table: SpreadTable, name: str) -> float:
    """Return a bound on the relative error of a column between a table's rows.

    Every second setting is left out and foretold from the others; the largest miss bounds the
    error on the full grid, whose steps are half as long, where the curve is smooth (then it is 4 to
    8 times smaller) and whatever noise the rows carry. Temperatures alike; the two misses add.
    """
    values = table.grid(name).log()
    over = _missed(table.settings, values, _over_settings)
    if len(table.temperatures) < 3:
        return float(np.expm1(over))
    steps = table.temperatures.log()
    along = _missed(steps, values.T, _straight)
    return float(np.expm1(over + along))


def continuation_error(table: SpreadTable, name: str) -> float:
    """Return how far a column strays beyond the settings, foretold: no bound.

    The rows in the last tenth of the range at either end, at least one, are left out and foretold
    from the others by the same straight line of ln y; the larger relative miss of the two ends.

    As large as what is found beyond the table where the curve bends there as it does within. A
    table that ends close to compensation, where σ and τ diverge, is off by more.
    """
    nodes, values = table.settings, table.grid(name).log()
    worst = 0.0
    for x, y in ((nodes, values), (-nodes.flip(0), values.flip(-1))):
        kept = x <= x[-1] - SETTING_MARGIN * (x[-1] - x[0])
        found = _over_settings(x[kept], y[..., kept], x[~kept]) if int(kept.sum()) > 1 else y[:, :1]
        worst = max(worst, float((found - y[..., ~kept]).abs().max()))
    return float(np.expm1(worst))


def _straight(nodes: Tensor, values: Tensor, places: Tensor) -> Tensor:
    """Return straight lines between nodes; the last axis is places."""
    rows = [np.interp(places.numpy(), nodes.numpy(), row.numpy()) for row in values]
    return torch.from_numpy(np.stack(rows))


def _missed(
    nodes: Tensor, values: Tensor, curve: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> float:
    """Return the largest miss at nodes that were left out, every second one, the ends kept."""
    last, worst = len(nodes) - 1, 0.0
    for first in (1, 2):
        left_out = list(range(first, last, 2))
        kept = [k for k in range(last + 1) if k not in left_out]
        if left_out:
            found = curve(nodes[kept], values[..., kept], nodes[left_out])
            worst = max(worst, float((found - values[..., left_out]).abs().max()))
    return worst
