"""Simulations from start to finished folder: what is written, resumed, refused and reported."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray

from bayespin.load import InputError, read_toml
from bayespin.physics import macrospin
from bayespin.physics.files.dataset import DIMENSIONS, check_conventions, load_dataset
from bayespin.physics.files.ovf import read_ovf
from bayespin.report.simulation import page
from bayespin.study.simulation.run import prepare, run_simulation
from bayespin.study.simulation.schema import read
from bayespin.study.watch import Watch
from tests.study.simulation.small import simulation

NAMES = ("thermal-ensemble", "film-ensemble", "notched-track")


def carried_out(out: Path, name: str, **changes: Any) -> Path:
    return run_simulation(prepare(simulation(name, **changes), out))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One finished folder of each kind."""
    out = tmp_path_factory.mktemp("runs")
    return {name: carried_out(out, name) for name in NAMES}


def results_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def assert_same_numbers(one: Path, other: Path) -> None:
    """Datasets to the last bit, and results without times of day."""
    files = sorted(p.name for p in one.glob("*.nc"))
    assert files == sorted(p.name for p in other.glob("*.nc"))
    for name in files:
        xarray.testing.assert_identical(load_dataset(one / name), load_dataset(other / name))
    results = [results_of(folder) for folder in (one, other)]
    for found in results:
        del found["provenance"]
    assert results[0] == results[1]


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_holds_datasets_results_and_the_simulation(finished, name):
    folder = finished[name]
    for file in folder.glob("*.nc"):
        check_conventions(load_dataset(file))
    results = results_of(folder)
    assert (results["simulation"], results["failed"]) == (name, 0)
    assert results["study_hash"] == folder.name.rsplit("-", 1)[1]
    assert results["provenance"]["seeds"] == [0]
    assert read(read_toml(folder / "simulation.toml"), "file") == simulation(name)
    left = {p.name for p in folder.iterdir() if p.suffix != ".nc"}
    assert left - {"snapshots"} == {"results.json", "simulation.toml"}


def test_macrospins_are_recorded_with_their_settings_and_statistics(finished):
    data = load_dataset(finished["thermal-ensemble"] / "trajectories.nc")
    assert dict(data.sizes) == {"time": 11, "point": 2, "replica": 40}
    np.testing.assert_allclose(data["time"], np.arange(11) * 1e-10, rtol=1e-9)
    assert data["interface_anisotropy"].values.tolist() == [1.0613e-3, 0.9733e-3]
    length = sum(data[name] ** 2 for name in ("m_x", "m_y", "m_z"))
    np.testing.assert_allclose(length, 1, atol=1e-5)
    rows = results_of(finished["thermal-ensemble"])["rows"]
    spreads = data["m_z"].values.astype(float).std((0, 2))
    assert [row["std"]["value"] for row in rows] == pytest.approx(spreads.tolist(), rel=1e-6)
    assert rows[0]["anisotropy_field"] == pytest.approx(-0.08, rel=1e-3)
    # ∫p du over the drawn law is all of it but 2 · 1e-4 in the tails.
    u, density = rows[0]["law"]
    assert np.trapezoid(density, u) == pytest.approx(1, abs=1e-3)


def test_films_are_kept_as_maps_and_snapshots(finished):
    folder = finished["film-ensemble"]
    film, data = load_dataset(folder / "film.nc"), load_dataset(folder / "trajectories.nc")
    assert set(film["m"].dims) == set(DIMENSIONS)
    assert film["time"].values.tolist() == pytest.approx([8e-12, 24e-12, 40e-12])
    # A map averages to what was recorded of the same replica at the same time.
    mask = film["mask"].values[0].astype(bool)
    for frame, time in enumerate(film["time"].values):
        recorded = [float(data[n].sel(time=time, method="nearest")[0, 0]) for n in ("m_x", "m_y")]
        mapped = film["m"].values[frame, 0, 0, :2, 0][:, mask].mean(-1)
        assert mapped.tolist() == pytest.approx(recorded, abs=1e-6)
    last = read_ovf(folder / "snapshots" / "replica-000.ovf")
    np.testing.assert_array_equal(last.m.numpy(), film["m"].values[-1, 0, 0])
    assert last.time == pytest.approx(40e-12)
    names = {p.name for p in (folder / "snapshots").iterdir()}
    assert names == {f"replica-00{k}.{end}" for k in (0, 1) for end in ("ovf", "vti")}
    rows = results_of(folder)["rows"]
    assert [row["component"] for row in rows] == ["m_x", "m_y", "m_z"]
    assert rows[2]["macrospin_std"] > 0


def test_a_snapshot_starts_another_simulation(finished, tmp_path):
    path = finished["film-ensemble"] / "snapshots" / "replica-001.ovf"
    folder = carried_out(tmp_path, "film-ensemble", initial=str(path), run__settle="0 s")
    first = load_dataset(folder / "trajectories.nc").isel(time=0, point=0, replica=0)
    m = read_ovf(path).m
    count = int((m != 0).any(0).sum())
    found = [float(first[name]) for name in ("m_x", "m_y", "m_z")]
    assert found == pytest.approx((m.sum((1, 2, 3)) / count).tolist(), abs=1e-6)


def test_walls_and_the_film_beside_them_see_the_same_pulses(finished):
    folder = finished["notched-track"]
    walls, films = (load_dataset(folder / name) for name in ("trajectories.nc", "films.nc"))
    np.testing.assert_allclose(walls["time"], films["time"], atol=1e-24)
    for data in (walls, films):
        on = data["current_density"].values / 1e12
        assert on.tolist() == [0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1]
    results = results_of(folder)
    assert sum(row["walls"] for row in results["rows"]) == 12
    assert sum(row["films"] for row in results["rows"]) == 1
    assert results["coordinates"]["notch_depth_kt"] > 1
    start = float(walls["wall_position"][0, 0, 0])
    assert start == pytest.approx(results["rows"][0]["position"], rel=1e-6)


def test_few_replicas_have_numbers_without_errors_and_a_remark(tmp_path):
    folder = carried_out(tmp_path, "thermal-ensemble", run__replicas=3)
    (row, _) = results_of(folder)["rows"]
    data = load_dataset(folder / "trajectories.nc")["m_z"].values[:, 0].astype(float)
    assert row["std"]["value"] == pytest.approx(data.std(), rel=1e-6)
    assert row["std"]["se"] is None
    assert "the 3 here gave none" in row["remark"]


@pytest.mark.parametrize("name", ["film-ensemble", "notched-track"])
def test_without_noise_all_replicas_are_one(tmp_path, name):
    folder = carried_out(tmp_path, name, run__temperature="0 K")
    data, results = load_dataset(folder / "trajectories.nc"), results_of(folder)
    for values in (data[n] for n in data if n not in ("status", "current_density")):
        assert bool((values == values.isel(replica=0)).all())
    assert results["failed"] == 0
    if name == "notched-track":
        assert results["coordinates"]["notch_depth_kt"] is None


class Stopped(Exception):
    """Stands for Ctrl-C."""


@pytest.mark.parametrize("name", NAMES)
def test_an_interrupted_run_ends_in_the_same_bits(finished, tmp_path, name):
    """Stopped once in every ensemble, resumed each time."""
    seen: set[str] = set()

    def progress(what: str, done: int, total: int) -> None:
        if what not in seen and done > total / 2:
            seen.add(what)
            raise Stopped

    prepared = prepare(simulation(name), tmp_path)
    stops = 0
    while not prepared.folder.finished:
        try:
            run_simulation(prepared, watch=Watch(progress=progress))
        except Stopped:
            stops += 1
    assert stops == len(seen) == (2 if name == "notched-track" else 1)
    assert_same_numbers(prepared.folder.final, finished[name])


def test_a_finished_run_is_returned_at_once_and_force_begins_anew(finished, monkeypatch):
    name = "thermal-ensemble"
    out = finished[name].parent
    prepared = prepare(simulation(name), out)
    before = (finished[name] / "results.json").stat().st_mtime_ns
    assert run_simulation(prepared) == finished[name]
    assert (finished[name] / "results.json").stat().st_mtime_ns == before
    assert run_simulation(prepared, force=True) == finished[name]
    assert (finished[name] / "results.json").stat().st_mtime_ns > before


def test_the_folder_s_name_follows_what_is_simulated(tmp_path):
    def name(**changes: Any) -> str:
        return prepare(simulation("film-ensemble", **changes), tmp_path).folder.final.name

    assert name() == name()
    assert len({name(), name(run__seed=1), name(initial="vortex"), name(title="Other")}) == 4


def test_numbers_depend_on_the_seed_and_not_on_workers(finished, tmp_path):
    chosen = simulation("thermal-ensemble")
    again = run_simulation(prepare(chosen, tmp_path), watch=Watch(workers=2))
    assert_same_numbers(again, finished["thermal-ensemble"])
    other = carried_out(tmp_path, "thermal-ensemble", run__seed=1)
    one, two = (load_dataset(f / "trajectories.nc")["m_z"].values for f in (again, other))
    assert not np.any(one == two)


def test_an_error_that_is_asked_for_lengthens_the_run(finished, tmp_path):
    asked = {"statistic": "mean", "error": 0.0165, "longest": "10 ns"}
    folder = carried_out(tmp_path, "thermal-ensemble", target=asked)
    results = results_of(folder)
    assert results["target"]["reached"]
    assert results["target"]["error"] <= 0.0165
    assert results["steps"] > results_of(finished["thermal-ensemble"])["steps"]
    assert load_dataset(folder / "trajectories.nc").sizes["time"] == results["records"]


def test_a_driven_ensemble_is_judged_at_its_end(tmp_path):
    pulse = {"start": "0.3 ns", "width": "0.5 ns", "field": ["0 T", "0 T", "0.3 T"]}
    folder = carried_out(tmp_path, "thermal-ensemble", drive__pulses=[pulse])
    (row, _) = results_of(folder)["rows"]
    last = load_dataset(folder / "trajectories.nc")["m_z"].values[-1, 0].astype(float)
    assert row["mean"]["value"] == pytest.approx(last.mean(), rel=1e-5)
    assert row["mean"]["se"] == pytest.approx(last.std(ddof=1) / np.sqrt(40), rel=1e-5)
    assert "exact_std" not in row


def test_a_trajectory_that_is_not_finite_is_reported_and_left_out(tmp_path, monkeypatch):
    simulate = macrospin.simulate

    def broken(parameters: Any, m: torch.Tensor, noise: Any, steps: range, **more: Any) -> Any:
        m = simulate(parameters, m, noise, steps, **more)
        m[0, :, 7] = torch.nan
        return m

    monkeypatch.setattr(macrospin, "simulate", broken)
    folder = carried_out(tmp_path, "thermal-ensemble")
    results, data = results_of(folder), load_dataset(folder / "trajectories.nc")
    assert (results["failed"], results["trajectories"]) == (1, 80)
    assert results["first_failed_s"] == pytest.approx(1e-10)
    assert [row["failed"] for row in results["rows"]] == [1, 0]
    assert data["status"].values.sum() == data["status"].values[0, 7] == 1
    kept = np.delete(data["m_z"].values[:, 0], 7, 1).astype(float)
    assert results["rows"][0]["std"]["value"] == pytest.approx(kept.std(), rel=1e-6)


def test_a_run_that_is_lost_altogether_still_has_a_report(tmp_path, monkeypatch):
    def lost(_: Any, m: torch.Tensor, *__: Any, **___: Any) -> torch.Tensor:
        return torch.full_like(m, torch.nan)

    monkeypatch.setattr(macrospin, "simulate", lost)
    chosen = simulation("thermal-ensemble")
    folder = run_simulation(prepare(chosen, tmp_path), report=page.write)
    results = results_of(folder)
    assert results["failed"] == results["trajectories"] == 80
    assert "No trajectory" in results["rows"][0]["remark"]
    assert "80 of 80 trajectories" in (folder / "report.html").read_text(encoding="utf-8")


def test_a_cell_that_is_too_coarse_is_remarked(tmp_path):
    size = ["40 nm", "40 nm", "2.2 nm"]
    prepared = prepare(simulation("film-ensemble", geometry__size=size), tmp_path)
    assert "exchange length" in prepared.remarks[0]
    assert prepare(simulation("film-ensemble"), tmp_path).remarks == ()


@pytest.mark.parametrize(
    "name, changes, words",
    [
        ("thermal-ensemble", {"layer__preset": "easyplane"}, r"mean `easyplane-50nm`\?"),
        ("thermal-ensemble", {"run__time_step": "1 ns"}, "`run.time_step` must be at most"),
        ("film-ensemble", {"geometry__cells": [90_000, 90_000, 1]}, "`cells` must fit"),
        ("notched-track", {"drive__field": ["0 T", "1 T", "0 T"]}, "must be along z"),
    ],
)
def test_what_cannot_be_simulated_is_refused_before_work(tmp_path, name, changes, words):
    with pytest.raises(InputError, match=words):
        prepare(simulation(name, **changes), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"`run.device` must be cpu on a machine without"):
        prepare(simulation("thermal-ensemble", run__device="cuda"), tmp_path)


def test_records_beyond_memory_are_refused(tmp_path):
    with pytest.raises(
        InputError, match=r"simulation thermal-ensemble: `replicas` must be at most"
    ):
        carried_out(tmp_path, "thermal-ensemble", run__replicas=10**11)
