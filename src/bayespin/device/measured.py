"""People's own devices: a CSV becomes a device, with a report of the fit beside it."""

from dataclasses import dataclass
from pathlib import Path

from bayespin.device.fit import CompactFit, Orientation, describe, fit_compact
from bayespin.device.stochastic import Gate
from bayespin.device.table import SpreadTable, read_table
from bayespin.device.tabulated import TabulatedDevice, interpolation_error

ASSUMED_GATE = Gate(
    kind="non-volatile", step_error=0.1, resolution=2e-3, pulse_energy=2.4e-15, pulse_time=1e-7,
    endurance=1e9, drift_per_decade=1e-3,
)  # fmt: skip
"""That of the preset easyplane-50nm: assumed, confidence low."""


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
    """The gate is `ASSUMED_GATE`, not the user's."""

    @property
    def table(self) -> SpreadTable:
        """The rows."""
        return self.device.table

    def report(self) -> str:
        """Return in plain lines what the table holds, how well, and what was assumed."""
        table, unit = self.table, self.table.setting_unit
        settings, kelvins = table.settings, table.temperatures
        lines = [
            f"{len(settings)} settings, {float(settings[0]):.4g} to {float(settings[-1]):.4g} "
            f"{unit}; {float(kelvins[0]):g} to {float(kelvins[-1]):g} K",
            f"Between rows: sigma within {self.sigma_error:.2%}, tau within {self.tau_error:.2%}",
        ]
        if self.gate_assumed:
            lines.append("Gate: assumed, that of easyplane-50nm; give `gate` for your own")
        if self.fit is None:
            lines.append("No fit: give `tmr`, which tells conductance from the moment's projection")
        else:
            lines.append(describe(self.fit))
        return "\n".join(lines)


def measured_device(
    path: str | Path,
    *,
    tmr: float | None = None,
    gate: Gate | None = None,
    levels: int = 16,
    moment: float | None = None,
    orientation: Orientation = "easy-plane",
) -> Measured:
    """Return the device that a CSV describes, with the compact model fitted to it.

    A = ⟨G⟩ TMR/(TMR + 2), the conductance per unit of u, from the mean of the column `mean`.

    Args:
        path: the CSV, see `device.table`.
        tmr: (G_P − G_AP)/G_AP as a fraction at the voltage of the measurement; for the fit and the
            shift by a stray field.
        gate: how settings are written; without one `ASSUMED_GATE`.
        levels: how many settings are programmed to.
        moment: M_s V in A m², for the shift by a stray field.
        orientation: of the law that is fitted.

    Raises:
        InputError: the file is not such a table, or `tmr` is impossible for it.
        ValueError: σ turns with the setting, or too few levels.
    """
    table = read_table(Path(path))
    amplitude = None
    if tmr is not None:
        if not tmr > 0:
            raise ValueError(f"`tmr` must be positive, but is {tmr:g}.")
        amplitude = float(table.columns["mean"].mean()) * tmr / (tmr + 2)
    device = TabulatedDevice(
        table=table,
        gate=ASSUMED_GATE if gate is None else gate,
        levels=levels,
        moment=moment,
        amplitude=amplitude,
    )
    return Measured(
        device=device,
        fit=None if amplitude is None else fit_compact(table, amplitude, orientation),
        sigma_error=interpolation_error(table, "sigma"),
        tau_error=interpolation_error(table, "tau"),
        gate_assumed=gate is None,
    )
