"""People's own devices: a CSV becomes a device, with a report of the fit beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bayespin.device import presets
from bayespin.device.fit import CompactFit, Junction, Orientation, describe, fit_compact
from bayespin.device.stochastic import Gate
from bayespin.device.table import SpreadTable, read_table
from bayespin.device.tabulated import TabulatedDevice, continuation_error, interpolation_error
from bayespin.load import InputError
from bayespin.physics.free_layer import ThermalLaw
from bayespin.units import parse

ASSUMED_FROM: Final = "easyplane-50nm"
"""Preset whose gate a device has that names none: assumed, confidence low."""
_UNITS: Final = {
    "amplitude": "S", "damping": "1", "bloch_temperature": "K", "anisotropy_exponent": "1",
}  # fmt: skip
"""What a table may say of its junction in lines `# key: value`."""

_LARGEST_TMR: Final = 20.0
"""Beyond three times the largest ever measured: a percentage."""


def assumed_gate() -> Gate:
    """Return the gate of the preset `ASSUMED_FROM`."""
    return presets.junction(ASSUMED_FROM).gate


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A device made of a table, and what is known of it."""

    device: TabulatedDevice
    """A cell takes it as its pillar: `replace(cell, pillar=found.device)`."""
    fit: CompactFit | None
    """The compact model; None without an amplitude."""
    sigma_error: float
    """Bound on the relative error of interpolated σ."""
    tau_error: float
    gate_assumed: bool
    """The gate is `assumed_gate`, not the user's."""

    @property
    def table(self) -> SpreadTable:
        """The rows."""
        return self.device.table

    def report(self) -> str:
        """Return in plain lines what the table holds, how well, and what was assumed."""
        table, unit = self.table, self.table.setting_unit
        settings, kelvins = table.settings, table.temperatures
        beyond = [continuation_error(table, name) for name in ("sigma", "tau")]
        lines = [
            f"{len(settings)} settings, {float(settings[0]):.4g} to {float(settings[-1]):.4g} "
            f"{unit}; {float(kelvins[0]):g} to {float(kelvins[-1]):g} K",
            f"Between rows: sigma within {self.sigma_error:.2%}, tau within {self.tau_error:.2%}",
            f"A tenth of the range beyond, foretold: sigma within {beyond[0]:.2%}, tau within "
            f"{beyond[1]:.2%}",
        ]
        if self.gate_assumed:
            lines.append(f"Gate: assumed, that of {ASSUMED_FROM}; give `gate` for your own")
        if self.fit is None:
            lines.append("No fit: give `tmr`, which tells conductance from the moment's projection")
        else:
            lines.append(describe(self.fit))
            if len(kelvins) > 1 and self.fit.junction.thermal is None:
                lines.append(
                    "No law of temperature: for settings K_i, say `# bloch_temperature: 1120 K` "
                    "and `# anisotropy_exponent: 2.16` in the file"
                )
        return "\n".join(lines)


def measured_device(
    path: str | Path,
    *,
    tmr: float | None = None,
    gate: Gate | None = None,
    levels: int = 16,
    moment: float | None = None,
    orientation: Orientation | None = None,
) -> Measured:
    """Return the device that a CSV describes, with the compact model fitted to it.

    A = ⟨G⟩ TMR/(TMR + 2), the conductance per unit of u, from the mean of the column `mean`;
    without `tmr` the file's line `# amplitude`. For the fit the lines `# orientation`, `# damping`,
    `# bloch_temperature` and `# anisotropy_exponent` are read as well, as `bayespin characterize`
    writes them.

    Args:
        path: the CSV, see `device.table`.
        tmr: (G_P − G_AP)/G_AP as a fraction at the voltage of the measurement; for the fit and the
            shift by a stray field.
        gate: how settings are written; without one `assumed_gate`.
        levels: how many settings are programmed to.
        moment: M_s V in A m², for the shift by a stray field.
        orientation: of the law that is fitted; the file's, or an easy plane.

    Raises:
        InputError: the file is not such a table, or `tmr` or a line is impossible for it.
        ValueError: σ turns with the setting, or too few levels.
    """
    table = read_table(Path(path))
    told = {name: _told(table, name, path) for name in _UNITS}
    amplitude = told["amplitude"]
    if tmr is not None:
        if not tmr > 0:
            raise ValueError(f"`tmr` must be positive, but is {tmr:g}.")
        if tmr > _LARGEST_TMR:
            raise ValueError(f"`tmr` must be a fraction, 1.5 for 150 %, but is {tmr:g}.")
        amplitude = float(table.columns["mean"].mean()) * tmr / (tmr + 2)
    device = TabulatedDevice(
        table=table,
        gate=assumed_gate() if gate is None else gate,
        levels=levels,
        moment=moment,
        amplitude=amplitude,
    )
    fit = None
    if amplitude is not None:
        turned = orientation or _orientation(table, path)
        fit = fit_compact(table, _junction(amplitude, turned, told))
    return Measured(
        device=device,
        fit=fit,
        sigma_error=interpolation_error(table, "sigma"),
        tau_error=interpolation_error(table, "tau"),
        gate_assumed=gate is None,
    )


def _told(table: SpreadTable, name: str, path: str | Path) -> float | None:
    """Return a number of the lines `# key: value`, or nothing."""
    text = table.metadata.get(name)
    if text is None:
        return None
    try:
        return float(text) if _UNITS[name] == "1" else parse(text, _UNITS[name])
    except ValueError:
        unit = "" if _UNITS[name] == "1" else f" with a unit such as {_UNITS[name]}"
        raise InputError(
            f"File `{path}`: the line `# {name}` must be a number{unit}, but is {text!r}; mend or "
            f"remove it."
        ) from None


def _orientation(table: SpreadTable, path: str | Path) -> Orientation:
    told = table.metadata.get("orientation", "easy-plane")
    if told == "easy-plane" or told == "perpendicular":
        return told
    raise InputError(
        f"File `{path}`: the line `# orientation` must be easy-plane or perpendicular, but is "
        f"{told!r}; mend or remove it."
    )


def _junction(
    amplitude: float, orientation: Orientation, told: Mapping[str, float | None]
) -> Junction:
    bloch, exponent = told["bloch_temperature"], told["anisotropy_exponent"]
    law = None
    if bloch is not None and exponent is not None:
        law = ThermalLaw(bloch_temperature=bloch, anisotropy_exponent=exponent)
    return Junction(
        amplitude=amplitude, orientation=orientation, damping=told["damping"], thermal=law
    )
