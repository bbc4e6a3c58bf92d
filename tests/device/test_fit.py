"""Fits recover what was planted, inside their stated errors; a CSV becomes a device in one call."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

import bayespin as bs
from bayespin.device import fit, presets, stochastic_mtj
from bayespin.device.measured import assumed_gate, measured_device
from bayespin.device.stochastic import ReadPoint
from bayespin.device.table import SpreadTable, write_table
from bayespin.load import InputError
from bayespin.physics import equilibrium, free_layer, precession, relaxation
from bayespin.rng import Key, KeyedNoise

AMPLITUDE, TMR = 1.6e-6, 1.5
PLANE = fit.Junction(amplitude=AMPLITUDE)
PLANTED = {"intercept": 150.0, "slope": -125.0, "diffusion_time": 2.4e-7}
SIGMA_ERROR, TAU_ERROR = 0.01, 0.03
TABLES = 300


def planted(key: Key, *, errors: bool = True, kelvins: tuple[float, ...] = (300.0, 340.0)):
    """A table of the easy-plane law with normal relative errors of known size."""
    x = torch.linspace(0.2, 1.15, 8, dtype=torch.float64).repeat(len(kelvins))
    kelvin = torch.tensor(kelvins, dtype=torch.float64).repeat_interleave(8)
    cold = 300.0 / kelvin
    delta = (PLANTED["intercept"] + PLANTED["slope"] * x) * cold
    sigma = AMPLITUDE * equilibrium.easy_plane_std(delta)
    tau = PLANTED["diffusion_time"] * cold / relaxation.easy_plane_rate(delta)
    noise = KeyedNoise.from_key(key).normal(torch.empty(2, len(x), dtype=torch.float64))
    sigma, tau = sigma * (SIGMA_ERROR * noise[0]).exp(), tau * (TAU_ERROR * noise[1]).exp()
    mean = torch.full_like(x, AMPLITUDE * (TMR + 2) / TMR)
    columns = {"setting": x, "mean": mean, "sigma": sigma, "tau": tau, "temperature": kelvin}
    if errors:
        columns |= {"sigma_error": SIGMA_ERROR * sigma, "tau_error": TAU_ERROR * tau}
    return SpreadTable(columns=columns, metadata={"setting_unit": "V", "source": "synthetic"})


@pytest.fixture(scope="module")
def fits():
    root = Key.root(0).child("tables")
    return [fit.fit_compact(planted(root.child(str(k))), PLANE) for k in range(TABLES)]


def covered(fits, name, shrink=1.0):
    inside = 0
    for one in fits:
        found = getattr(one, name)
        found = replace(found, standard_error=shrink * found.standard_error)
        low, high = found.interval(0.95)
        inside += low <= PLANTED[name] <= high
    return inside


def coverage_is_stated(inside):
    """Binomial: 0.95 of 300 within 1e-4; errors of 0.7 the size cover 83 %, which it excludes."""
    low, high = stats.binom.interval(1 - 1e-4, TABLES, 0.95)
    assert low <= inside <= high


@pytest.mark.parametrize("name", fit.NAMES)
def test_intervals_cover_what_was_planted(fits, name):
    coverage_is_stated(covered(fits, name))


@pytest.mark.parametrize("name", fit.NAMES)
def test_errors_too_small_are_caught(fits, name):
    with pytest.raises(AssertionError):
        coverage_is_stated(covered(fits, name, shrink=0.7))


def test_chi_squared_follows_its_law(fits):
    assert stats.kstest([one.probability for one in fits], "uniform").pvalue > 1e-4


def test_without_errors_the_scatter_gives_them():
    found = fit.fit_compact(planted(Key.root(1), errors=False), PLANE)
    assert not found.weighted
    assert np.isnan(found.probability)
    for name in fit.NAMES:
        one = getattr(found, name)
        assert abs(one.value - PLANTED[name]) < 5 * one.standard_error
        assert one.standard_error < 0.1 * abs(PLANTED[name])


def test_a_perpendicular_law_is_recovered():
    x = torch.linspace(0.0, 1.0, 6, dtype=torch.float64)
    delta = 10 + 40 * x
    sigma, tau = AMPLITUDE * equilibrium.perpendicular_std(delta), 2e-7 / delta
    room = torch.full_like(x, 300.0)
    columns = {"setting": x, "mean": 3 * sigma[:1].expand(6), "sigma": sigma, "tau": tau}
    table = SpreadTable(columns=columns | {"temperature": room}, metadata={})
    found = fit.fit_compact(table, replace(PLANE, orientation="perpendicular"))
    values = (found.intercept.value, found.slope.value, found.diffusion_time.value)
    assert values == pytest.approx((10.0, 40.0, 2e-7), rel=1e-5)
    other = fit.fit_compact(table, PLANE)
    assert float(other.sigma_residual.abs().max()) > 1e-3  # the easy plane's law is another


def by_the_laws(law, kelvins):
    """Rows without noise of a junction of closed forms, with errors of one per cent."""
    settings = law.level_settings()
    read = [ReadPoint(temperature=kelvin, window=0.0) for kelvin in kelvins]
    seen = [law.fluctuation(settings, one) for one in read]
    columns = {
        "setting": settings.repeat(len(kelvins)),
        "mean": torch.cat([one.mean for one in seen]),
        "sigma": torch.cat([one.deviation for one in seen]),
        "tau": torch.cat([one.correlation_time for one in seen]),
        "temperature": torch.tensor(kelvins, dtype=torch.float64).repeat_interleave(len(settings)),
    }
    columns |= {f"{name}_error": 0.01 * columns[name] for name in ("sigma", "tau")}
    return SpreadTable(columns=columns, metadata={"setting_unit": "J/m2"})


def test_a_law_of_temperature_joins_many_temperatures_in_one_fit():
    law = presets.junction()
    table = by_the_laws(law, (280.0, 300.0, 360.0))
    amplitude = stochastic_mtj.conductance_amplitude(law)
    known = fit.Junction(amplitude=amplitude, thermal=law.thermal)
    found = fit.fit_compact(table, known)
    per_setting = law.layer.volume / law.layer.thickness / free_layer.thermal_energy(300.0)
    assert found.slope.value == pytest.approx(-per_setting, rel=1e-4)
    zero = stochastic_mtj.stability(law, torch.zeros(1, dtype=torch.float64), 300.0)
    assert found.intercept.value == pytest.approx(float(zero), rel=1e-4)
    time = relaxation.free_diffusion_time(law.layer, 300.0)
    assert found.diffusion_time.value == pytest.approx(time, rel=1e-3)
    assert float(found.sigma_residual.abs().max()) < 0.02
    without = fit.fit_compact(table, replace(known, thermal=None))
    assert without.probability < 1e-6


def test_the_memory_of_a_precession_is_fitted_where_it_follows_its_law():
    plane = presets.junction()
    law = replace(
        plane, orientation="perpendicular", anisotropy_low=1.175e-3, anisotropy_high=1.45e-3
    )
    table = by_the_laws(law, (300.0,))
    settings = table.settings
    linear = stochastic_mtj.correlation_time(law, settings)
    delta = stochastic_mtj.stability(law, settings, 300.0)
    tau, _ = precession.fitted_precession(linear, 1 / (law.layer.damping * linear), delta)
    tau[delta < 20] *= 1.3  # too soft for the law: must not enter
    table = replace(table, columns={**table.columns, "tau": tau, "tau_error": 0.01 * tau})
    amplitude = stochastic_mtj.conductance_amplitude(law)
    known = fit.Junction(
        amplitude=amplitude, orientation="perpendicular", damping=law.layer.damping
    )
    found = fit.fit_compact(table, known)
    assert torch.equal(found.tau_residual.isnan(), delta < 20)
    assert bool(found.holds.all())
    time = relaxation.free_diffusion_time(law.layer, 300.0)
    assert found.diffusion_time.value == pytest.approx(time, rel=1e-3)
    linear_theory = fit.fit_compact(table, replace(known, damping=None))
    assert linear_theory.probability < 1e-6


@pytest.mark.parametrize("damping", [0.0, -1.0])
def test_a_junction_without_damping_is_refused(damping):
    with pytest.raises(ValueError, match="`damping` must be positive"):
        fit.Junction(amplitude=AMPLITUDE, damping=damping)


def test_rows_off_the_law_and_rows_not_gaussian_are_named():
    table = planted(Key.root(2))
    sigma = table.columns["sigma"].clone()
    sigma[3] *= 1.1
    off = replace(table, columns={**table.columns, "sigma": sigma})
    found = fit.fit_compact(off, PLANE)
    assert found.probability < 1e-6
    assert not bool(found.holds[3])
    assert "does not hold" in fit.describe(found)
    truth = (PLANTED["intercept"] + PLANTED["slope"] * table.columns["setting"]) * 300
    truth = truth / table.columns["temperature"]
    clear = (truth - 5).abs() > 1
    assert torch.equal(found.gaussian[clear], (truth >= 5)[clear])


def test_a_spread_beyond_the_law_is_refused():
    with pytest.raises(InputError, match="check `tmr`"):
        fit.fit_compact(planted(Key.root(3)), fit.Junction(amplitude=AMPLITUDE / 4))


def test_a_csv_is_a_device_in_one_call(tmp_path):
    write_table(planted(Key.root(4)), tmp_path / "mine.csv")
    found = measured_device(tmp_path / "mine.csv", tmr=TMR)
    assert found.fit is not None
    assert found.fit.junction.amplitude == pytest.approx(AMPLITUDE, rel=1e-12)
    assert "c0" in found.report()
    assert "assumed" in found.report()
    assert measured_device(tmp_path / "mine.csv").fit is None
    cell = replace(bs.BitCell.preset(), pillar=found.device)
    levels = cell.sigma_levels(4, 320.0)
    assert bool((levels.diff() > 0).all())


def test_what_a_file_says_of_its_junction_is_taken(tmp_path):
    law = presets.junction()
    amplitude = stochastic_mtj.conductance_amplitude(law)
    told = {
        "setting_unit": "J/m2",
        "amplitude": f"{1e6 * amplitude:.9g} uS",
        "orientation": "easy-plane",
        "bloch_temperature": "1120 K",
        "anisotropy_exponent": "2.16",
    }
    table = replace(by_the_laws(law, (280.0, 360.0)), metadata=told)
    write_table(table, tmp_path / "mine.csv")
    found = measured_device(tmp_path / "mine.csv").fit
    assert found is not None
    assert found.junction.thermal == law.thermal
    assert found.junction.amplitude == pytest.approx(amplitude, rel=1e-8)
    assert bool(found.holds.all())


@pytest.mark.parametrize(
    "line, value, words",
    [
        ("amplitude", "large", "must be a number with a unit such as S, but is 'large'"),
        ("damping", "low", "must be a number, but is 'low'"),
        ("orientation", "sideways", "must be easy-plane or perpendicular, but is 'sideways'"),
    ],
)
def test_a_line_that_says_nothing_is_refused(tmp_path, line, value, words):
    told = {"setting_unit": "V", "amplitude": f"{AMPLITUDE} S", line: value}
    write_table(replace(planted(Key.root(6)), metadata=told), tmp_path / "mine.csv")
    with pytest.raises(InputError, match=f"mine.csv`: the line `# {line}` {words}"):
        measured_device(tmp_path / "mine.csv")


def test_the_gate_that_is_assumed_is_the_presets():
    assert assumed_gate() == presets.junction().gate


def test_a_tmr_that_is_none_is_refused(tmp_path):
    write_table(planted(Key.root(5)), tmp_path / "mine.csv")
    with pytest.raises(ValueError, match="`tmr` must be positive"):
        measured_device(tmp_path / "mine.csv", tmr=-1.0)
    with pytest.raises(ValueError, match=r"must be a fraction, 1\.5 for 150 %, but is 150"):
        measured_device(tmp_path / "mine.csv", tmr=150.0)
