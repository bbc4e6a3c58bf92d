"""What a study is: plain frozen dataclasses, one per section of its TOML file."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from bayespin.array.coding import CodingName
from bayespin.cell.bit_cell import BitCell
from bayespin.cell.interface import GaussianCell, held_sigma
from bayespin.chip.accelerator import Accelerator
from bayespin.device import presets
from bayespin.load import build, read_resource
from bayespin.network.training import Augmentation, Recipe
from bayespin.nn.mean_field import SigmaWindow
from bayespin.units import Unit

ImageSet = Literal["fashion-mnist", "cifar100"]
NetworkName = Literal["lenet5", "resnet13"]

TRAINING_IMAGES: Mapping[ImageSet, int] = {"fashion-mnist": 60_000, "cifar100": 50_000}
"""Of each set; both have 10,000 test images."""
FITTING: Mapping[ImageSet, NetworkName] = {"fashion-mnist": "lenet5", "cifar100": "resnet13"}
"""The network for images of each set's size."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """Which images."""

    set: ImageSet = "fashion-mnist"
    """Test and training images: grey, of 28 × 28 pixels, or in colour, of 32 × 32."""
    path: str | None = None
    """Folder with the set's files; looked for in the usual places if not given."""
    inputs: Literal["grey", "standardised"] = "grey"
    """Grey values or colours from 0 to 1, or these less their mean over their deviation."""
    foreign: Literal["mnist"] = "mnist"
    """Images from elsewhere, blended into the test images and held against them."""
    foreign_path: str | None = None
    """Folder with MNIST's two test files."""
    training_images: int = 60_000
    """Images to train on, those held out included."""
    held_out: int = 5_000
    """The last training images, kept for every choice that is made; never trained on."""
    test_images: int = 10_000
    """The first test images."""

    def __post_init__(self) -> None:
        if not 1 <= self.test_images <= 10_000:
            raise ValueError(f"`test_images` must be 1 to 10000, but is {self.test_images}.")
        most = TRAINING_IMAGES[self.set]
        if not 0 <= self.held_out < self.training_images <= most:
            raise ValueError(
                f"`held_out` must be less than `training_images`, and that at most {most} of "
                f"{self.set}, but they are {self.held_out} and {self.training_images}."
            )


@dataclass(frozen=True, kw_only=True)
class Training:
    """How both networks are trained; `kl_weight` and what follows concern the Bayesian one.

    The σ window is what a cell holds at `column_gain` and a full scale of `weight_range`.
    """

    epochs: int
    """Passes over the training images."""
    batch: int
    """Images per step."""
    learning_rate: float
    """Of Adam, at the start."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """How the learning rate falls."""
    kl_weight: float = 0.2
    """Weight of the divergence to the prior; 1 is the evidence lower bound."""
    estimator: Literal["flipout", "local_reparameterised", "reparameterised"] = (
        "local_reparameterised"
    )
    """How weights are sampled in training; `local_reparameterised` is what the chip does."""
    column_gain: float = 4.0
    """Gain of the pillar columns that the σ window assumes; one of the cell's."""
    weight_range: float = 0.7
    """Full scale of the weights that the σ window assumes."""
    augmentation: Augmentation | None = None
    """`shift-mirror` moves images by up to 4 pixels and mirrors half; as they are if not given."""
    sigma_cap: float | None = None
    """Largest σ in training; the device's if not given."""
    aware_epochs: int = 0
    """Further epochs of the Bayesian network with the chip's reads in the loss; its learning rate
    falls only in these. A plain network trained as long would only be surer of what it saw."""
    ceiling: float | None = None
    """Share of the positive activations below the ceilings that these epochs train with."""
    temperature: float | None = None
    """What the trained network's logits are divided by, on the chip as in software."""

    def __post_init__(self) -> None:
        self.recipe(SigmaWindow())  # refuses what a recipe refuses
        if self.aware_epochs < 0:
            raise ValueError(f"`aware_epochs` must not be negative, but is {self.aware_epochs}.")
        if self.ceiling is not None and not (0 < self.ceiling < 1 and self.aware_epochs):
            raise ValueError(
                f"`ceiling` must be between 0 and 1 and `aware_epochs` positive to train with it, "
                f"but they are {self.ceiling} and {self.aware_epochs}."
            )
        for name in ("column_gain", "weight_range", "temperature"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"`{name}` must be positive, but is {value}.")

    def recipe(self, window: SigmaWindow) -> Recipe:
        """Return the recipe with this σ window."""
        return Recipe(
            epochs=self.epochs,
            batch=self.batch,
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            kl_weight=self.kl_weight,
            estimator=self.estimator,
            window=window,
            augmentation=self.augmentation,
        )

    def window(self, cell: GaussianCell) -> SigmaWindow:
        """Return floor and cap of σ that the device holds; the cap alone before aware epochs.

        These have the window of each layer's own reads.

        Raises:
            ValueError: a gain that the cell lacks, or a cap that no gain of it can hold.
        """
        if self.aware_epochs:
            return SigmaWindow(cap=math.inf if self.sigma_cap is None else self.sigma_cap)
        gains = cell.column_gains
        if self.column_gain not in gains:
            raise ValueError(
                f"`training.column_gain` must be one of {', '.join(f'{g:g}' for g in gains)}, "
                f"but is {self.column_gain:g}."
            )
        floor, cap = self._held(cell, self.column_gain)
        if not floor < self.weight_range:
            raise ValueError(
                f"`hardware` must hold σ below `training.weight_range`, {self.weight_range:g}, but "
                f"the least that this chip can hold is {floor:.3g}."
            )
        if self.sigma_cap is None:
            return SigmaWindow(floor=floor, cap=cap)
        largest = self._held(cell, max(gains))[1]
        if not floor < self.sigma_cap <= largest:
            raise ValueError(
                f"`training.sigma_cap` must be within what the device can hold, {floor:.3g} to "
                f"{largest:.3g} at a weight range of {self.weight_range:g}, but is "
                f"{self.sigma_cap:g}."
            )
        return SigmaWindow(floor=floor, cap=self.sigma_cap)

    def _held(self, cell: GaussianCell, gain: float) -> tuple[float, float]:
        """Return floor and cap of σ in weight units when every input is at full drive."""
        levels = cell.sigma_levels(gain, cell.environment.programming_temperature)
        held = held_sigma(levels, cell.read_noise(gain)) * self.weight_range
        return float(held.min()), float(held.max())


# What a part of the chip calls a field, and what a study calls it.
_STUDY_NAMES = {"diameter": "pillar_diameter", "voltage": "read_voltage", "window": "read_window"}


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """The chip: a preset, and what is changed in it; a change also changes the run's hash."""

    preset: str = "easyplane-50nm"
    """Name of a shipped preset; the fields below change it where given."""
    rows: int | None = None
    """Most rows of a tile."""
    outputs: int | None = None
    """Most outputs of a tile."""
    wires: bool = True
    """Whether cells stand behind the preset's wires; without them each sees its full voltage."""
    outputs_per_adc: int | None = None
    """Outputs that share one converter."""
    input_bits: int | None = None
    """Of the row drivers."""
    coding: CodingName | None = None
    """How a row's drive carries its code in time."""
    adc_bits: int | None = None
    """Of the column converters."""
    read_voltage: Annotated[float | None, Unit("V")] = None
    """Row voltage of the largest input."""
    read_window: Annotated[float | None, Unit("s")] = None
    """Integration time of one read."""
    use_temperature: Annotated[float | None, Unit("K")] = None
    """Temperature at which the chip is read; it was programmed at the preset's."""
    pillar_diameter: Annotated[float | None, Unit("m")] = None
    """Of the stochastic junction; it moves the easy-plane fields of all levels."""
    sliced: tuple[str, ...] = ()
    """Layers whose means stand on two cells each, the second for what the first is off."""
    calibration_images: int = 500
    """Held-out training images that set the converters' ranges."""

    def __post_init__(self) -> None:
        if len(set(self.sliced)) < len(self.sliced):
            raise ValueError(f"`sliced` must name each layer once, but is {list(self.sliced)}.")
        if self.calibration_images < 1:
            raise ValueError(
                f"`calibration_images` must be at least 1, but is {self.calibration_images}."
            )

    def accelerator(self) -> Accelerator:
        """Return the chip.

        Raises:
            InputError: no such preset.
            ValueError: a change that is physically impossible.
        """
        chip = Accelerator.from_preset(self.preset)
        try:
            return self._changed(chip)
        except ValueError as error:
            raise ValueError(self._in_words_of_a_study(str(error))) from None

    def _in_words_of_a_study(self, refusal: str) -> str:
        """Return a refusal by a part of the chip with the name that the field has here."""
        match = re.match(r"`(\w+)`", refusal)
        name = _STUDY_NAMES.get(match[1], match[1]) if match is not None else ""
        if match is not None and name in self.__dataclass_fields__:
            return f"`hardware.{name}`{refusal[match.end() :]}"
        return f"`hardware` must leave preset {self.preset} a chip that can be, but {refusal}"

    def _changed(self, chip: Accelerator) -> Accelerator:
        cell = chip.cell
        assert isinstance(cell, BitCell)  # what presets hold
        pillar = cell.pillar
        read = {"voltage": self.read_voltage, "window": self.read_window,
                "input_bits": self.input_bits, "adc_bits": self.adc_bits}  # fmt: skip
        layout = {"rows": self.rows, "outputs": self.outputs,
                  "outputs_per_adc": self.outputs_per_adc, "coding": self.coding}  # fmt: skip
        if self.pillar_diameter is not None:
            law = presets.junction(self.preset)  # a table holds for the disk it was made with
            pillar = replace(law, layer=replace(law.layer, diameter=self.pillar_diameter))
        cell = replace(
            cell,
            pillar=pillar,
            read=replace(cell.read, **_given(read)),
            environment=replace(
                cell.environment, **_given({"use_temperature": self.use_temperature})
            ),
        )
        tiles = replace(chip.layout, **_given(layout))
        return replace(chip, cell=cell, layout=tiles if self.wires else replace(tiles, wires=None))


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How predictions are judged."""

    reads: int
    """Monte-Carlo passes per image."""
    blends: tuple[float, ...]
    """Fractions f of foreign image in the ladder x = (1 − f) x_in + f x_foreign; 0 is added."""
    rotations: tuple[float, ...] = ()
    """Degrees by which test images are turned."""
    noises: tuple[float, ...] = ()
    """Deviations of Gaussian noise added to every pixel, over the whole range of grey."""
    flaw_images: int = 0
    """Test images on chips that have one flaw each: what the hardware costs. 0 leaves it out."""
    ladder_images: int = 10_000
    """Test images of the rungs other than f = 0 and f = 0.5, which use all, and of everything else
    that needs fewer: turned and noisy images, fidelity, and the curve over the number of reads."""

    def __post_init__(self) -> None:
        if self.reads < 2:
            raise ValueError(f"`reads` must be at least 2, but is {self.reads}.")
        if self.ladder_images < 1:
            raise ValueError(f"`ladder_images` must be at least 1, but is {self.ladder_images}.")
        if self.flaw_images < 0:
            raise ValueError(f"`flaw_images` must not be negative, but is {self.flaw_images}.")
        for name in ("rotations", "noises"):
            if any(not 0 < level < 360 for level in getattr(self, name)):
                raise ValueError(
                    f"`{name}` must be positive and below 360, but are {getattr(self, name)}."
                )
        for blend in self.blends:
            if not 0 <= blend < 1:
                raise ValueError(f"`blends` must lie in [0, 1), but hold {blend}.")


_NO_SHARES = ("spintronic_nll", "ood_ece_ratio")


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What a study promises; the report says plainly what was met."""

    software_accuracy: float | None = None
    """Least accuracy of the Bayesian network in software, in either sampling."""
    spintronic_accuracy: float | None = None
    """Least accuracy on the chip."""
    spintronic_nll: float | None = None
    """Largest negative log-likelihood on the chip, in nats."""
    spintronic_ece: float | None = None
    """Largest calibration error on the chip."""
    spintronic_ece_excess: float | None = None
    """The same, less what perfect calibration would show on as many images."""
    spintronic_ood_ece: float | None = None
    """Largest calibration error on the chip at a blend of one half."""
    ood_ece_ratio: float | None = None
    """Least factor by which that of the deterministic network is larger."""
    spintronic_auroc: float | None = None
    """Least area under the curve of telling foreign images by epistemic entropy."""
    accuracy_gap: float | None = None
    """Largest distance in accuracy between the chip and either software twin."""
    paired_interval: float | None = None
    """Bound on the 95 % interval over seeds of the chip's accuracy less either twin's."""

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            target = getattr(self, name)
            most = math.inf if name in _NO_SHARES else 1
            if target is not None and not 0 <= target <= most:
                kind = "not be negative" if most > 1 else "be a share from 0 to 1"
                raise ValueError(f"`{name}` must {kind}, but is {target}.")


@dataclass(frozen=True, kw_only=True)
class Study:
    """A whole study.

    Raises:
        ValueError: a name that is no file name, no seed, a seed given twice, or a network that does
            not fit the images.
    """

    name: str
    """Names the run folder."""
    title: str
    """Heads the table and the report."""
    quick: bool = False
    """Stamped on every table, page and file of results that are only a first look."""
    seeds: tuple[int, ...] = (0,)
    """One training and one chip each; results are means over them."""
    network: NetworkName | None = None
    """The one that fits the images if not given: `lenet5` for grey ones, `resnet13` for colours."""
    device: Literal["cpu", "cuda"] | None = None
    """Where networks are trained and predict; the CPU if not given. Chips are programmed there."""
    data: Data = field(default_factory=Data)
    training: Training
    hardware: Hardware = field(default_factory=Hardware)
    evaluation: Evaluation
    targets: Targets = field(default_factory=Targets)

    def __post_init__(self) -> None:
        if re.fullmatch(r"[A-Za-z0-9][\w.-]{0,99}", self.name, re.ASCII) is None:
            raise ValueError(
                f"`name` must be letters, digits, `-`, `_` and `.`, since it names a folder, but "
                f"is {self.name!r}."
            )
        distinct = len(set(self.seeds)) == len(self.seeds)
        if not (self.seeds and distinct and min(self.seeds) >= 0 and max(self.seeds) < 2**32):
            raise ValueError(
                f"`seeds` must be distinct numbers from 0 to 2^32 − 1, but are {list(self.seeds)}."
            )
        if self.network not in (None, FITTING[self.data.set]):
            raise ValueError(
                f"`network` must be {FITTING[self.data.set]} where `data.set` is {self.data.set}, "
                f"but is {self.network}; leave it out to have the one that fits."
            )

    @property
    def architecture(self) -> NetworkName:
        """Which network is trained."""
        return FITTING[self.data.set] if self.network is None else self.network


def _given(changes: Mapping[str, object]) -> dict[str, Any]:
    return {name: value for name, value in changes.items() if value is not None}


def shipped(name: str) -> Study:
    """Return a study of the package by name.

    Raises:
        InputError: no such study; the sentence names the nearest one.
    """
    return build(Study, read_resource("studies", name), f"study {name}")
