"""What a regression study is: plain frozen dataclasses, one per section of its TOML file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bayespin.load import build, nearest, read_resource
from bayespin.network.likelihoods import Gaussian
from bayespin.network.training import Recipe
from bayespin.study import regression_data
from bayespin.study.schema import Hardware
from bayespin.study.simulation.sections import require_name

KIND = "regression"
TOY = "toy"
"""The set that is drawn, not read."""


@dataclass(frozen=True, kw_only=True)
class Tables:
    """Which tables."""

    sets: tuple[str, ...]
    """Names of UCI sets, or `toy`."""
    path: str | None = None
    """Folder with NAME.csv.gz of the UCI sets; the user's cache if not given."""
    splits: int = 20
    """Splits of every set, at most as many as are published; new draws of the toy."""

    def __post_init__(self) -> None:
        allowed = [TOY, *regression_data.SETS]
        unknown = [name for name in self.sets if name not in allowed]
        if unknown or not self.sets or len(set(self.sets)) < len(self.sets):
            near = nearest(unknown[0], allowed) if unknown else ""
            raise ValueError(
                f"`sets` must be distinct names out of {', '.join(allowed)}, but are "
                f"{', '.join(self.sets) or 'none'}{near}."
            )
        if self.splits < 1:
            raise ValueError(f"`splits` must be at least 1, but is {self.splits}.")

    def count(self, name: str) -> int:
        """Return how many splits of a set the study takes."""
        return self.splits if name == TOY else min(self.splits, regression_data.splits(name))


@dataclass(frozen=True, kw_only=True)
class RegressionTraining:
    """How networks of one hidden layer with mean and scale as outputs are trained."""

    steps: int
    """Steps of the optimiser, rounded up to whole passes over the training examples."""
    aware_steps: int = 0
    """Further steps with the chip's reads in the loss; the learning rate falls only in these."""
    batch: int = 100
    """Examples per step; fewer where a set has less than four times as many."""
    learning_rate: float = 5e-3
    """Of Adam, at the start."""
    kl_weight: float = 1.0
    """Weight of the divergence to the prior; 1 is the evidence lower bound."""
    hidden: int = 50
    """Width of the hidden layer."""
    bumps: int = 0
    """Radial features of the toy's input, computed digitally; 0 takes the input as it is."""
    ceiling: float | None = None
    """Share of the positive activations below the ceiling that the aware steps train with."""
    least_scale: float = 1e-2
    """Least scale of the noise, in deviations of the training targets."""

    def __post_init__(self) -> None:
        self.recipe(1000)  # refuses what a recipe refuses
        if self.hidden < 1 or self.aware_steps < 0:
            raise ValueError(
                f"`hidden` must be at least 1 and `aware_steps` not negative, but they are "
                f"{self.hidden} and {self.aware_steps}."
            )
        if self.bumps == 1 or self.bumps < 0:
            raise ValueError(f"`bumps` must be 0, or 2 and more, but is {self.bumps}.")
        if self.ceiling is not None and not (0 < self.ceiling < 1 and self.aware_steps):
            raise ValueError(
                f"`ceiling` must be between 0 and 1 and `aware_steps` positive to train with it, "
                f"but they are {self.ceiling} and {self.aware_steps}."
            )

    @property
    def likelihood(self) -> Gaussian:
        """Numbers with noise of their own at every input."""
        return Gaussian(floor=self.least_scale)

    def recipe(self, examples: int, *, aware: bool = False) -> Recipe:
        """Return the recipe of a table of so many training examples."""
        if min(self.steps, self.batch) < 1:
            raise ValueError(
                f"`steps` and `batch` must be at least 1, but are {self.steps} and {self.batch}."
            )
        batch = max(1, min(self.batch, examples // 4))
        steps = self.aware_steps if aware else self.steps
        return Recipe(
            epochs=-(-steps * batch // examples),
            batch=batch,
            learning_rate=self.learning_rate,
            schedule="cosine" if aware or not self.aware_steps else "constant",
            kl_weight=self.kl_weight,
            estimator="local_reparameterised",
            likelihood=self.likelihood,
        )


@dataclass(frozen=True, kw_only=True)
class RegressionEvaluation:
    """How predictions are judged."""

    reads: int = 100
    """Monte-Carlo passes per example."""

    def __post_init__(self) -> None:
        if self.reads < 2:
            raise ValueError(f"`reads` must be at least 2, but is {self.reads}.")


@dataclass(frozen=True, kw_only=True)
class RegressionStudy:
    """A whole study.

    Raises:
        ValueError: a name that is no file name, or an output layer that is neither.
    """

    name: str
    """Names the run folder."""
    title: str
    """Heads the table and the report."""
    kind: Literal["regression"]
    """Chooses this schema."""
    quick: bool = False
    """Stamped on every table, page and file of results that are only a first look."""
    data: Tables
    training: RegressionTraining
    hardware: Hardware = field(default_factory=Hardware)
    output_layer: Literal["analog", "digital"] = "analog"
    """Where the last layer is computed; digital, it keeps its trained Gaussians."""
    evaluation: RegressionEvaluation = field(default_factory=RegressionEvaluation)

    def __post_init__(self) -> None:
        require_name(self.name)
        if self.training.bumps and self.data.sets != (TOY,):
            raise ValueError(
                f"`training.bumps` must be 0 for tables of several inputs, but is "
                f"{self.training.bumps}; only `toy` has one."
            )


def is_regression(content: Mapping[str, Any]) -> bool:
    """Return whether a file's content describes a study of this kind."""
    return content.get("kind") == KIND


def shipped(name: str) -> RegressionStudy:
    """Return a regression study of the package by name.

    Raises:
        InputError: no such study; the sentence names the nearest one.
    """
    return build(RegressionStudy, read_resource("studies", name), f"study {name}")
