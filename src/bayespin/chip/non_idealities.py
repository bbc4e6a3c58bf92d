"""One flaw of a chip at a time: what each costs where all others are absent, and all together.

The base is a chip of ideal cells without wires, with converters of `FINE` bits, sampled as asked.
Each variant puts one flaw of the given chip back; what is left when single losses are added up and
compared with the whole is how flaws meet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bayespin.cell.bit_cell import BitCell, without_errors
from bayespin.cell.interface import (
    Environment,
    GaussianCell,
    Programmed,
    ProgrammedCells,
    Reading,
    Use,
    WantedCells,
)
from bayespin.chip.accelerator import Accelerator, Deployment
from bayespin.chip.placement import Devices
from bayespin.network.models import Network
from bayespin.nn.estimators import Sampling
from bayespin.rng import Key
from bayespin.shapes import Float, Tensor

FINE = 14
"""Bits of a converter that is as good as none: a step is 2 % of that of 8 bits."""
YEAR = 3.15576e7
"""Seconds."""


@dataclass(frozen=True, kw_only=True)
class Quiet:
    """A cell that is read without Johnson and shot noise, and is otherwise as it is."""

    cell: GaussianCell

    @property
    def read(self) -> Reading:
        """How it is read."""
        return self.cell.read

    @property
    def environment(self) -> Environment:
        """Temperatures of programming and use."""
        return self.cell.environment

    @property
    def column_gains(self) -> tuple[float, ...]:
        """Gains of the spread that a layer may choose from."""
        return self.cell.column_gains

    @property
    def full_scale(self) -> float:
        """Conductance that stands for w_max, S."""
        return self.cell.full_scale

    @property
    def output_conductance(self) -> float:
        """What a mid-scale cell loads its row with, S."""
        return self.cell.output_conductance

    def sigma_levels(self, gain: float, temperature: float) -> Float[Tensor, " levels"]:
        """Return the spreads that can be programmed, rising."""
        return self.cell.sigma_levels(gain, temperature)

    def read_noise(self, gain: float) -> float:
        """Return 0."""
        return 0.0

    def mean_error(self, gain: float) -> Float[Tensor, " levels"]:
        """Return the expected rms error of a programmed mean over w_max, per σ level."""
        return self.cell.mean_error(gain)

    def sampling_period(self) -> float:
        """Return the time between two reads whose samples count as independent, s."""
        return self.cell.sampling_period()

    def program(self, wanted: WantedCells, gain: float, key: Key) -> Programmed:
        """Return the cells of one chip after programming, with quiet reads."""
        found = self.cell.program(wanted, gain, key)
        return replace(found, cells=_quiet(found.cells))

    def in_use(self, state: Mapping[str, Tensor], gain: float, use: Use) -> ProgrammedCells:
        """Return what a programmed state has become at a temperature and an age."""
        return _quiet(self.cell.in_use(state, gain, use))


def _quiet(cells: ProgrammedCells) -> ProgrammedCells:
    return replace(cells, noise_gains=cells.noise_gains * 0)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A chip with some of the flaws of another."""

    name: str
    chip: Accelerator
    devices: Devices = "spintronic"
    sampling: Sampling = Sampling.PER_READ
    temperature: float | None = None
    """K at which it is read; that of its programming if not given."""
    age: float = 0.0
    """Seconds since programming."""

    def deploy(
        self, network: Network, images: Float[Tensor, " images *shape"], key: Key
    ) -> Deployment:
        """Return the network on this chip; the same key makes the same devices for all variants.

        Args:
            network: software network.
            images: calibration inputs.
            key: of the chip.

        Raises:
            ValueError: what `Accelerator.deploy` refuses.
        """
        twin = self.chip.deploy(network, images, key, self.devices)
        if self.temperature is None and self.age == 0:
            return twin
        return twin.used_at(self.temperature, self.age)


def variants(chip: Accelerator) -> list[Variant]:
    """Return the base, the chip with one flaw at a time, with all of them, and after a year.

    | variant | what is put back |
    |---|---|
    | base | nothing |
    | converters | bits of drivers and ADCs, ranges from calibration |
    | wires | resistances, behind which weights and spreads are compensated |
    | correlated reads | memory of cells between reads, three times τ apart |
    | levels | 16 levels of σ with floor and cap, steps of μ |
    | read noise | the same with Johnson and shot noise |
    | programming | levels with devices that differ, pulses that err, verification that is noisy |
    | warmer | levels, read at the temperature of use instead of that of programming |
    | all | everything |
    | all, a year later | with drift of gates and hops of walls |

    Raises:
        ValueError: a chip of other cells than `BitCell`, whose flaws this does not know.
    """
    if not isinstance(chip.cell, BitCell):
        raise ValueError(
            f"`cell` must be a BitCell for its flaws to be told apart, but is a "
            f"{type(chip.cell).__name__}."
        )
    cell = chip.cell
    plain = replace(chip.layout, wires=None, adc_errors=None)
    use = cell.environment.use_temperature

    def fine(own: BitCell) -> BitCell:
        return replace(own, read=replace(own.read, input_bits=FINE, adc_bits=FINE))

    at_rest = replace(cell.environment, use_temperature=cell.environment.programming_temperature)
    exact, made = without_errors(fine(cell)), replace(fine(cell), environment=at_rest)
    base = replace(chip, cell=exact, layout=plain)
    quiet = replace(base, cell=Quiet(cell=exact))
    return [
        Variant(name="base", chip=base, devices="ideal"),
        Variant(name="converters", chip=replace(base, cell=without_errors(cell)), devices="ideal"),
        Variant(
            name="wires",
            chip=replace(base, layout=replace(chip.layout, adc_errors=None)),
            devices="ideal",
        ),
        Variant(name="levels", chip=quiet),
        Variant(name="correlated reads", chip=quiet, sampling=Sampling.CORRELATED),
        Variant(name="read noise", chip=base),
        Variant(name="programming", chip=replace(base, cell=Quiet(cell=made))),
        Variant(name="warmer", chip=quiet, temperature=use),
        Variant(name="all", chip=chip),
        Variant(name="all, a year later", chip=chip, age=YEAR),
    ]
