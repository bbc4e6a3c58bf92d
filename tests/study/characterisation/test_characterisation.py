"""A characterisation: what a file may say, what a run leaves, and verdicts that can fail."""

import json
import math

import pytest
import torch

import bayespin
from bayespin.device import stochastic_mtj
from bayespin.device.table import SpreadTable, read_table
from bayespin.load import InputError, resource_names
from bayespin.physics.free_layer import thermal_energy
from bayespin.report.characterisation import page
from bayespin.study.characterisation import schema
from bayespin.study.characterisation.compact import compact_model
from bayespin.study.characterisation.laws import laws_of
from bayespin.study.characterisation.points import Sweeps
from bayespin.study.characterisation.run import prepare, run_characterisation
from bayespin.study.characterisation.verdicts import CLAIMS, gaussian_reach, ratios, verdict

SMALL = {
    "kind": "pillar",
    "name": "small",
    "title": "Three stiff settings",
    "sweep": {
        "settings": ["0.5 mJ/m2", "0.7 mJ/m2", "0.9 mJ/m2"],
        "read_windows": ["1 ns"],
        "stray_fields": ["0 mT", "20 mT"],
    },
    "run": {"replicas": 64, "decay_times": 8.0},
}


def changed(**sections):
    return {**SMALL, **{k: {**SMALL.get(k, {}), **v} for k, v in sections.items()}}


def prepared(content, tmp_path):
    return prepare(schema.read(content, "here"), tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return run_characterisation(prepared(SMALL, tmp_path_factory.mktemp("runs")), report=page.write)


@pytest.mark.parametrize("name", resource_names("characterisations"))
def test_every_shipped_characterisation_is_possible(name, tmp_path):
    assert prepare(schema.shipped(name), tmp_path).folder.final.parent == tmp_path


@pytest.mark.parametrize(
    "sections, words",
    [
        ({"sweep": {"settings": ["1.3 mJ/m2"] * 3}}, "all different"),
        ({"sweep": {"settings": ["1.3 mJ/m2", "1.31 mJ/m2", "1.32 mJ/m2"]}}, "below compensation"),
        ({"sweep": {"levels": 4}}, "`levels` must be left out beside `settings`"),
        ({"sweep": {"temperatures": ["-3 K"]}}, "`temperatures` must be positive"),
        ({"run": {"replicas": 8}}, "`replicas` must be at least 32"),
        ({"stack": {"preset": "easyplane-60nm"}}, "easyplane-50nm"),
        ({"film": {"cell": "50 nm"}}, "`film.cell` must be at most 12.5 nm"),
        (
            {"stack": {"orientation": "perpendicular"}, "sweep": {"settings": []}},
            "`sweep.settings` must be given for `stack.orientation`",
        ),
    ],
)
def test_the_impossible_is_refused_before_work(sections, words, tmp_path):
    with pytest.raises(InputError, match=words):
        prepared(changed(**sections), tmp_path)
    assert not list(tmp_path.iterdir())


def test_kinds_are_told(tmp_path):
    with pytest.raises(InputError, match=r"`kind` must be one of .*did you mean `pillar`"):
        schema.read({**SMALL, "kind": "pilar"}, "here")


def test_laws_of_the_reference_stack_are_those_of_its_barriers():
    content = {**SMALL, "sweep": {**SMALL["sweep"], "stabilities": [1.0, 2.0, 5.0, 10.0]}}
    sweeps = Sweeps(schema.read(content, "here"))
    laws = laws_of(sweeps.stack, (1e-9,))
    expected = torch.tensor([0.5037, 0.4398, 0.3135, 0.2236], dtype=torch.float64)
    torch.testing.assert_close(laws.std[-4:], expected, rtol=0, atol=6e-5)
    kurtosis = torch.tensor([-0.914, -0.634, -0.124, -0.003], dtype=torch.float64)
    torch.testing.assert_close(laws.excess_kurtosis[-4:], kurtosis, rtol=0, atol=6e-4)


def test_a_run_leaves_a_table_that_is_the_device_of_its_rows(finished):
    results = json.loads((finished / "results.json").read_text(encoding="utf-8"))
    table = read_table(finished / "table.csv")
    rows = [row for row in results["rows"] if row["varied"] == "setting"]
    assert table.settings.tolist() == [5e-4, 7e-4, 9e-4]
    sigma = [row["std"]["value"] * row["amplitude"] for row in rows]
    assert table.grid("sigma")[0].tolist() == pytest.approx(sigma, rel=1e-12)
    for row in rows:
        error = row["std"]["se"] + 0.003 * row["laws"]["std"]
        assert abs(row["std"]["value"] - row["laws"]["std"]) < 5 * error
    shifted = [row for row in results["rows"] if row["varied"] == "stray_field"]
    for row in shifted:
        off = abs(row["mean"]["value"] - 0.02 / row["anisotropy_field"])
        assert off < 5 * row["mean"]["se"]
    assert (finished / "report.html").is_file()
    assert (finished / "figures" / "std-against-field.svg").is_file()
    assert page.table(results).rows[0][0] == "0.5000"


def test_the_same_file_gives_the_same_bits_also_when_interrupted(finished, tmp_path, monkeypatch):
    run = prepared(SMALL, tmp_path)

    def pressed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("bayespin.study.characterisation.pillar.verdicts", pressed)
        with pytest.raises(KeyboardInterrupt):
            run_characterisation(run)
    assert not run.folder.finished
    again = run_characterisation(run)
    assert (again / "table.csv").read_bytes() == (finished / "table.csv").read_bytes()
    stamp = (again / "results.json").stat().st_mtime_ns
    assert (run_characterisation(run) / "results.json").stat().st_mtime_ns == stamp


def test_settings_soften_with_temperature_as_the_law_of_the_junction_says(tmp_path):
    """Exact: Δ and the spread of Boltzmann's law at each temperature, by the closed form."""
    sweeps = Sweeps(schema.read(changed(sweep={"temperatures": ["300 K", "360 K"]}), "here"))
    law, settings = sweeps.pillar, sweeps.settings
    laws = laws_of(sweeps.stack, (1e-9,))
    for start, kelvin in ((0, 300.0), (3, 360.0)):
        delta = stochastic_mtj.stability(law, settings, kelvin)
        found = sweeps.stack.stability[start : start + 3]
        torch.testing.assert_close(found, delta, rtol=1e-9, atol=0)
        spread = stochastic_mtj.read_spread(law, settings, kelvin, 0.0)
        torch.testing.assert_close(laws.std[start : start + 3], spread, rtol=1e-4, atol=0)


def test_a_run_at_two_temperatures_and_gate_voltages_is_one_table_and_one_fit(tmp_path):
    """Power: σ is known to 2 % at each of six points, the rise from 280 to 360 K is 20 %."""
    content = {
        "kind": "pillar",
        "name": "held",
        "title": "Voltages of a gate",
        "stack": {"interface_anisotropy": "0.95 mJ/m2"},
        "sweep": {
            "gate_voltages": ["-0.8 V", "0 V", "0.8 V"],
            "temperatures": ["280 K", "360 K"],
            "read_windows": ["1 ns"],
        },
        "run": {"replicas": 64, "decay_times": 8.0},
    }
    folder = bayespin.characterize(content, tmp_path)
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    table = read_table(folder / "table.csv")
    assert table.temperatures.tolist() == [280.0, 360.0]
    assert table.settings.tolist() == pytest.approx([9.1e-4, 9.5e-4, 9.9e-4], rel=1e-9)
    assert float((table.grid("sigma")[1] / table.grid("sigma")[0]).mean()) == pytest.approx(
        (360 / 280) ** 0.5 * 1.03, rel=0.08
    )
    middle = [row for row in results["rows"] if row["gate_voltage"] == 0]
    held = [row for row in results["rows"] if row["gate_voltage"] != 0]
    # TMR falls with bias: a fit that took one amplitude for all would be off by more than half.
    assert all(row["amplitude"] < 0.6 * middle[0]["amplitude"] for row in held)
    fit = results["fit"]
    assert fit["departing"] == 0
    assert fit["probability"] > 1e-4
    expected = -math.pi * 25e-9**2 / thermal_energy(300.0)
    assert abs(fit["slope"]["value"] - expected) < 5 * fit["slope"]["se"]
    assert fit["slope"]["se"] < 0.2 * abs(expected)
    assert table.metadata["bloch_temperature"] == "1120 K"
    assert table.metadata["damping"] == "0.02"


def test_spreads_that_no_law_allows_have_no_compact_model():
    pillar = Sweeps(schema.read(SMALL, "here")).pillar
    rows = [
        {"varied": "setting", "temperature": 300.0, "setting": k, "amplitude": 1e-6}
        for k in (1.0, 2.0, 3.0)
    ]
    columns = {"setting": [1.0, 2.0, 3.0], "mean": [3e-6] * 3, "sigma": [7e-7, 5e-7, 3e-7],
               "tau": [1e-8] * 3, "temperature": [300.0] * 3, "sigma_error": [1e-9] * 3,
               "tau_error": [1e-10] * 3}  # fmt: skip
    tensors = {name: torch.tensor(one, dtype=torch.float64) for name, one in columns.items()}
    assert compact_model(SpreadTable(columns=tensors, metadata={}), rows, pillar) is None


def rows_off_by(factor, error):
    return [
        {
            "varied": "setting",
            "stability": 10.0 * (1 + k),
            "std": {"value": factor * 0.2, "se": error * 0.2},
            "excess_kurtosis": {"value": 0.3 if k == 1 else 0.0, "se": 0.01},
            "laws": {"std": 0.2},
        }
        for k in range(8)
    ]


@pytest.mark.parametrize(
    "factor, error, departing",
    [(1.0, 0.003, 0), (1.004, 0.003, 0), (1.04, 0.003, 8), (0.96, 0.003, 8), (1.04, 0.02, 0)],
)
def test_a_law_departs_by_more_than_statistics_and_time_step_explain(factor, error, departing):
    found = verdict(CLAIMS[0], list(ratios(CLAIMS[0], rows_off_by(factor, error), [])))
    assert (found["points"], found["departing"]) == (8, departing)
    assert found["ratio"]["value"] == pytest.approx(factor, rel=1e-9)


def test_the_gaussian_reaches_down_to_the_last_barrier_above_a_break():
    assert gaussian_reach(rows_off_by(1.0, 0.003))["from_stability"] == 30.0
