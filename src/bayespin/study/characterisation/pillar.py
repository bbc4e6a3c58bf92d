"""A stochastic junction characterised: operating points from a file, numbers from ensembles."""

from typing import Any

import torch

from bayespin import load
from bayespin.device import stochastic_mtj
from bayespin.device.table import write_table
from bayespin.physics.characterisation import Sampling, characterise
from bayespin.physics.characterised import Characterised
from bayespin.physics.sampling import Distance, Estimate
from bayespin.shapes import Tensor
from bayespin.study.bench import Bench
from bayespin.study.characterisation.compact import compact_model
from bayespin.study.characterisation.film import film_rows, require_cells
from bayespin.study.characterisation.laws import Laws, laws_of
from bayespin.study.characterisation.points import Point, Sweeps
from bayespin.study.characterisation.schema import PillarCharacterisation
from bayespin.study.characterisation.sections import FilmTwin
from bayespin.study.characterisation.table import table_of
from bayespin.study.characterisation.verdicts import gaussian_reach, verdicts
from bayespin.study.simulation.statistics import number

REPLICA_TIMES, ITS_ERROR = 61_000, 0.003
"""Replicas times decay times, and the relative standard error of s that they give."""
_LAYER = ("saturation_magnetisation", "diameter", "thickness", "damping")
_ESTIMATES = ("mean", "std", "skewness", "excess_kurtosis")


class PillarModel:
    """What a characterisation of a pillar simulates, and the laws it is held against.

    Raises:
        InputError: no such preset.
        ValueError: an impossible value.
    """

    def __init__(self, characterisation: PillarCharacterisation) -> None:
        self.characterisation = characterisation
        self.sweeps = Sweeps(characterisation)
        self.windows = characterisation.sweep.read_windows
        if characterisation.film is not None:
            require_cells(characterisation.film, self.sweeps.stack.layer.diameter)
        self.laws = laws_of(self.sweeps.stack, self.windows)

    @property
    def identity(self) -> dict[str, Any]:
        """The junction and its settings, which a preset decides."""
        settings = self.sweeps.settings.tolist()
        return {"pillar": load.dump(self.sweeps.pillar), "settings": settings}

    @property
    def device(self) -> dict[str, Any]:
        """What the page and the table say of the junction, in SI."""
        pillar, point = self.sweeps.pillar, self.sweeps.points[0]
        return {
            "preset": self.characterisation.stack.preset,
            "orientation": self.sweeps.orientation,
            **{name: getattr(pillar.layer, name) for name in _LAYER},
            **self._electrical(point),
        }

    def rows(self, found: Characterised) -> list[dict[str, Any]]:
        """Return each operating point: what it is, what was found, what the laws say."""
        stack = self.sweeps.stack
        return [
            {
                **vars(point),
                **self._electrical(point),
                "stability": float(stack.stability[place]),
                "anisotropy_field": float(stack.anisotropy_field[place]),
                **measured(found, place),
                "laws": self._predicted(self.laws, place),
            }
            for place, point in enumerate(self.sweeps.points)
        ]

    def _electrical(self, point: Point) -> dict[str, float]:
        """Return G0 and G0 P² at the bias of a point, S."""
        pillar = self.sweeps.pillar
        return {
            "mean_conductance": stochastic_mtj.mean_conductance(pillar, point.bias),
            "amplitude": stochastic_mtj.conductance_amplitude(pillar, point.bias),
        }

    def _predicted(self, laws: Laws, place: int) -> dict[str, Any]:
        point, stack = self.sweeps.points[place], self.sweeps.stack
        plain = {
            name: number(getattr(laws, name)[place])
            for name in Laws.__dataclass_fields__
            if name != "read_std"
        }
        level = self._level(place) if point.varied == "in_plane_anisotropy" else place
        return plain | {
            "read_std": laws.read_std[place].tolist(),
            "round_read_std": laws.read_std[level].tolist(),
            "linear_mean": float(stack.each("stray_field")[place] / stack.anisotropy_field[place]),
        }

    def _level(self, place: int) -> int:
        """Return the point of the table with the same setting and temperature."""
        point = self.sweeps.points[place]
        same = (
            k
            for k, one in enumerate(self.sweeps.points)
            if (one.varied, one.setting) == ("setting", point.setting)
            and one.temperature == point.temperature
        )
        return next(same)

    def carry_out(self, bench: Bench) -> dict[str, Any]:
        """Simulate, write table.csv, and return what results.json adds."""
        alone = bench.folder.step("macrospins", lambda: self._macrospins(bench))
        rows, film = alone["rows"], self.characterisation.film
        table = table_of(rows, self._origin(bench))
        write_table(table, bench.folder.work / "table.csv")
        return {
            "device": self.device,
            "run": vars(self.characterisation.run) | {"decay_times": self.sampling.decay_times},
            "windows": list(self.windows),
            **alone,
            "verdicts": verdicts(rows, self.windows, self.sweeps.orientation),
            "gaussian": gaussian_reach(rows),
            "fit": compact_model(table, rows, self.sweeps.pillar),
            "film": None if film is None else self._film(film, bench),
        }

    def _film(self, film: FilmTwin, bench: Bench) -> dict[str, Any]:
        return bench.folder.step(
            "films", lambda: {"rows": film_rows(self.sweeps, film, self.windows, bench)}
        )

    def _origin(self, bench: Bench) -> dict[str, str]:
        """Return what table.csv says of itself."""
        point, source = self.sweeps.points[0], bench.provenance
        versions = ", ".join(f"{name} {version}" for name, version in source.versions.items())
        return {
            "title": source.title,
            "setting_unit": "J/m2",
            "source": f"{source.source}, macrospins, seed {source.seed}, {versions}",
            "run": bench.folder.final.name,
            "orientation": self.sweeps.orientation,
            "amplitude": f"{self._electrical(point)['amplitude']:.6g} S",
            "damping": f"{self.sweeps.pillar.layer.damping:g}",
            **self._thermal,
            "voltage": f"{point.read_voltage:g} V",
            "stray_field": f"{point.stray_field:g} T",
            "window": "0 s",
        }

    @property
    def _thermal(self) -> dict[str, str]:
        law = self.sweeps.pillar.thermal
        if law is None:
            return {}
        return {
            "bloch_temperature": f"{law.bloch_temperature:g} K",
            "anisotropy_exponent": f"{law.anisotropy_exponent:g}",
        }

    @property
    def sampling(self) -> Sampling:
        """How long, and through which windows."""
        run = self.characterisation.run
        wanted = run.decay_times
        if run.sigma_error is not None:
            wanted = max(8.0, REPLICA_TIMES * (ITS_ERROR / run.sigma_error) ** 2 / run.replicas)
        return Sampling(windows=self.windows, replicas=run.replicas, decay_times=wanted)

    def _macrospins(self, bench: Bench) -> dict[str, Any]:
        execution = bench.execution("macrospins")
        key = bench.key.child("macrospins")
        found = characterise(self.sweeps.stack, self.sampling, key, execution)
        return {"rows": self.rows(found), "probabilities": found.probabilities.tolist()}


def measured(found: Characterised, place: int) -> dict[str, Any]:
    """Return what was found at one operating point, in plain numbers with standard errors."""
    statistics = found.statistics
    distances = {"normality": statistics.normality, "distance": statistics.distance}
    reads = [
        {"value": number(value), "se": number(error)}
        for value, error in zip(
            found.read_std.value[place], found.read_std.standard_error[place], strict=True
        )
    ]
    curves = ("lags", "autocorrelation", "autocorrelation_error", "quantiles", "edges", "counts")
    return {
        **{name: _plain(getattr(statistics, name), place) for name in _ESTIMATES},
        "decay_time": _plain(found.decay_time, place),
        "frequency": _plain(found.frequency, place),
        **{name: _apart(one, place) for name, one in distances.items() if one is not None},
        "read_std": reads,
        "failed": int(statistics.excluded[place]),
        **{name: _numbers(getattr(found, name)[place]) for name in curves},
    }


def _plain(found: Estimate, place: int) -> dict[str, float | None]:
    return {
        "value": number(found.value[place]),
        "se": number(found.standard_error[place]),
        "effective_samples": number(found.effective_samples[place]),
    }


def _apart(found: Distance, place: int) -> dict[str, float | None]:
    return {
        "value": number(found.value[place]),
        "resolution": number(found.resolution[place]),
    }


def _numbers(values: Tensor) -> list[Any]:
    """Return values as JSON has them: None for what is not finite, whole numbers whole."""
    if not torch.is_floating_point(values):
        return values.tolist()
    return [number(one) for one in values]
