"""Tables of devices: files round trip, mistakes are named, curves stay within their bound."""

import time
from dataclasses import replace

import pytest
import torch

from bayespin.cell.bit_cell import BitCell
from bayespin.device import presets, stochastic_mtj
from bayespin.device.stochastic import ReadPoint, StochasticDevice
from bayespin.device.table import SpreadTable, parse_table, read_table, text_of, write_table
from bayespin.device.tabulated import (
    TabulatedDevice,
    column_at,
    continuation_error,
    interpolation_error,
)
from bayespin.load import InputError

HEADER = "setting,mean,sigma,tau,temperature"
ROWS = ("1,4e-6,2e-7,1e-8,300", "2,4e-6,1.5e-7,6e-9,300", "3,4e-6,1e-7,3e-9,300")
LAW = presets.junction()
AMPLITUDE = stochastic_mtj.conductance_amplitude(LAW)


def law_table(nodes: int = 16, temperatures: tuple[float, ...] = (300.0,)) -> SpreadTable:
    """The preset's law, as rows."""
    settings = stochastic_mtj.level_anisotropies(replace(LAW, levels=nodes))
    found = [
        LAW.fluctuation(settings, ReadPoint(temperature=kelvin, window=0.0))
        for kelvin in temperatures
    ]
    columns = {
        "setting": settings.repeat(len(temperatures)),
        "mean": torch.cat([f.mean for f in found]),
        "sigma": torch.cat([f.deviation for f in found]),
        "tau": torch.cat([f.correlation_time for f in found]),
        "temperature": torch.tensor(temperatures).repeat_interleave(nodes),
    }
    return SpreadTable(columns=columns, metadata={"setting_unit": "J/m2", "source": "law"})


def device(table: SpreadTable, **changes: object) -> TabulatedDevice:
    return TabulatedDevice(table=table, gate=LAW.gate, **changes)


def test_a_table_round_trips_to_the_last_bit(tmp_path):
    table = law_table(temperatures=(280.0, 1000 / 3))
    write_table(table, tmp_path / "a.csv")
    again = read_table(tmp_path / "a.csv")
    assert again.metadata == table.metadata
    assert all(torch.equal(again.columns[k], table.columns[k]) for k in table.columns)
    assert text_of(again) == text_of(table)


def test_units_in_the_header_are_converted():
    text = "setting [mJ/m2],mean [uS],sigma [nS],tau [ns],temperature\n1,4,20,10,300\n" \
        "2,4,15,6,300\n3,4,10,3,300"  # fmt: skip
    table = parse_table(text, "mine")
    assert table.setting_unit == "mJ/m2"
    assert table.columns["sigma"].tolist() == [20e-9, 15e-9, 10e-9]
    assert table.columns["tau"].tolist() == [10e-9, 6e-9, 3e-9]
    known = parse_table("# setting_unit: J/m2\n" + text, "mine")
    assert known.settings.tolist() == [1e-3, 2e-3, 3e-3]


@pytest.mark.parametrize(
    "header, rows, words",
    [
        ("setting,mean,tau,temperature", ("1,1,1,300",), ["sigma", "lacks"]),
        (HEADER.replace("sigma", "sigm"), ROWS, ["`sigm`", "did you mean `sigma`"]),
        (HEADER.replace("tau", "tau [parsec]"), ROWS, ["row", "`tau`", "unit"]),
        (HEADER, (*ROWS, "4,4e-6,nan,1e-9,300"), ["row 5", "`sigma`", "nan"]),
        (HEADER, (*ROWS, "4,4e-6,-1e-7,1e-9,300"), ["row 5", "`sigma`", "-1e-07"]),
        (HEADER, (*ROWS, "4,4e-6,1e-7,0,300"), ["row 5", "`tau`", "positive"]),
        (HEADER, (*ROWS, "4,4e-6,soft,1e-9,300"), ["row 5", "`sigma`", "'soft'"]),
        (HEADER, (*ROWS, '4,4e-6,"1,5e-7",1e-9,300'), ["row 5", "`sigma`", "decimal point"]),
        (HEADER.replace(",", ";"), ROWS, ["separated by commas", "semicolons"]),
        (HEADER, (*ROWS, ROWS[1]), ["row 5", "`setting`", "row 3", "average"]),
        (HEADER, ROWS[:2], ["at least 3", "has 2"]),
        (HEADER, (*ROWS, "1,4e-6,2e-7,1e-8,350"), ["lacks", "350 K"]),
        (HEADER, (*ROWS, "1,2"), ["row 5", "has 2"]),
        ("", (), ["empty"]),
    ],
)
def test_a_mistake_is_named_in_one_sentence(header, rows, words):
    with pytest.raises(InputError) as caught:
        parse_table("\n".join((header, *rows)), "File `mine.csv`")
    sentence = str(caught.value)
    assert all(word in sentence for word in ("mine.csv", *words)), sentence
    assert sentence.count(". ") == 0


@pytest.mark.parametrize("nodes", [8, 16, 32])
@pytest.mark.parametrize("name", ["sigma", "tau"])
def test_interpolation_stays_within_its_bound(nodes, name):
    table = law_table(nodes)
    settings = stochastic_mtj.level_anisotropies(replace(LAW, levels=997))
    truth = LAW.fluctuation(settings, ReadPoint(temperature=300.0, window=0.0))
    truth = truth.deviation if name == "sigma" else truth.correlation_time
    found = column_at(table, name, settings, 300.0)
    worst, bound = float((found / truth - 1).abs().max()), interpolation_error(table, name)
    assert worst <= bound
    assert bound < 200 * worst  # a bound that says nothing would hold too


def test_interpolation_over_temperature_stays_within_its_bound():
    table = law_table(16, (280.0, 300.0, 320.0, 340.0, 360.0))
    settings = stochastic_mtj.level_anisotropies(replace(LAW, levels=101))
    for kelvin in (285.0, 311.0, 330.0, 352.0):
        truth = LAW.fluctuation(settings, ReadPoint(temperature=kelvin, window=0.0))
        found = column_at(table, "sigma", settings, kelvin)
        worst = float((found / truth.deviation - 1).abs().max())
        assert worst <= interpolation_error(table, "sigma")


def rows_up_to(high: float, nodes: int) -> SpreadTable:
    law = replace(LAW, anisotropy_high=high, levels=nodes)
    found = law.fluctuation(law.level_settings(), ReadPoint(temperature=300.0, window=0.0))
    columns = {
        "setting": law.level_settings(),
        "mean": found.mean,
        "sigma": found.deviation,
        "tau": found.correlation_time,
        "temperature": torch.full((nodes,), 300.0),
    }
    return SpreadTable(columns=columns, metadata={"setting_unit": "J/m2"})


def strayed(table: SpreadTable, name: str) -> float:
    """Relative error a tenth of the range beyond either end, against the law."""
    ends = table.settings[[0, -1]]
    room = 0.0999 * (ends[1] - ends[0])
    places = torch.stack([ends[0] - room, ends[1] + room])
    truth = LAW.fluctuation(places, ReadPoint(temperature=300.0, window=0.0))
    truth = truth.deviation if name == "sigma" else truth.correlation_time
    missed = (column_at(table, name, places, 300.0) / truth).log().abs()
    return float(torch.expm1(missed.max()))


@pytest.mark.parametrize("high, nodes", [(0.8e-3, 8), (0.9e-3, 8), (0.9e-3, 16), (1e-3, 8)])
@pytest.mark.parametrize("name", ["sigma", "tau"])
def test_beyond_the_settings_curves_stray_as_foretold_far_from_compensation(high, nodes, name):
    table = rows_up_to(high, nodes)
    assert strayed(table, name) <= continuation_error(table, name)
    assert continuation_error(table, name) < 0.3


def test_beyond_a_table_that_ends_at_compensation_nothing_is_promised():
    table = rows_up_to(LAW.anisotropy_high, 16)
    assert strayed(table, "sigma") > continuation_error(table, "sigma") > 0.3
    far = table.settings[-1:] + 0.1 * (table.settings[-1] - table.settings[0])
    once, twice = (column_at(table, "sigma", place, 300.0) for place in (far, 2 * far))
    assert torch.equal(once, twice)  # the curve is held from there on


def test_a_precession_is_averaged_by_its_own_window_factor():
    """σ_T of a damped cosine, by its double integral on a fine grid."""
    time, hertz, window = 2e-9, 1.5e9, 1.7e-9
    rows = "\n".join(f"{k},4e-6,{3 - k / 4}e-7,{time},300,{hertz}" for k in range(4))
    found = device(parse_table(f"{HEADER},frequency\n{rows}", "mine"), levels=4)
    places = torch.tensor([0.0, 1.5, 3.0], dtype=torch.float64)
    at_once, averaged = (
        found.fluctuation(places, ReadPoint(temperature=300.0, window=one)).deviation
        for one in (0.0, window)
    )
    lags = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    memory = (-lags * window / time).exp() * (2 * torch.pi * hertz * window * lags).cos()
    factor = float((2 * (1 - lags) * memory).mean().sqrt())
    assert (averaged / at_once).tolist() == pytest.approx([factor] * 3, rel=1e-6)
    plain = parse_table(f"{HEADER},frequency\n{rows.replace(f',{hertz}', ',0')}", "mine")
    read = ReadPoint(temperature=300.0, window=window)
    assert bool((device(plain, levels=4).fluctuation(places, read).deviation > averaged).all())


def test_one_temperature_is_continued_as_a_root_and_not_far():
    table = law_table()
    settings = table.settings[3:5]
    ratio = column_at(table, "sigma", settings, 330.0) / column_at(table, "sigma", settings, 300.0)
    assert ratio.tolist() == pytest.approx([1.1**0.5] * 2, rel=1e-12)
    with pytest.raises(InputError, match="within 40 K"):
        device(table).fluctuation(settings, ReadPoint(temperature=341.0, window=0.0))


def test_a_device_from_the_laws_rows_reads_as_the_law():
    found, settings = device(law_table(32), law=LAW), LAW.level_settings()
    read = ReadPoint(temperature=300.0, window=10e-9, voltage=-0.1)
    seen, truth = (d.fluctuation(settings, read, 1e-3) for d in (found, LAW))
    assert isinstance(found, StochasticDevice)
    torch.testing.assert_close(seen.mean, truth.mean, rtol=1e-12, atol=0)
    torch.testing.assert_close(seen.deviation, truth.deviation, rtol=3e-3, atol=0)
    torch.testing.assert_close(seen.correlation_time, truth.correlation_time, rtol=3e-3, atol=0)


def test_a_stray_field_shifts_the_mean_by_linear_response():
    layer = LAW.layer
    moment = layer.saturation_magnetisation * layer.volume
    found = device(law_table(), moment=moment, amplitude=AMPLITUDE)
    settings, read = LAW.level_settings(), ReadPoint(temperature=300.0, window=0.0)
    shifts = [
        d.fluctuation(settings, read, 1e-5).mean - d.fluctuation(settings, read).mean
        for d in (found, LAW)
    ]
    torch.testing.assert_close(shifts[0], shifts[1], rtol=1e-3, atol=0)
    still = device(law_table()).fluctuation(settings, read, 1e-5).mean
    assert torch.equal(still, device(law_table()).fluctuation(settings, read).mean)


def test_levels_are_equal_ratios_of_sigma_over_the_range():
    found = device(law_table(), levels=9)
    read = ReadPoint(temperature=300.0, window=0.0)
    sigma = found.fluctuation(found.level_settings(), read).deviation
    ratios = sigma[1:] / sigma[:-1]
    assert ratios.tolist() == pytest.approx([float(ratios.mean())] * 8, rel=1e-4)
    ends = found.table.columns["sigma"].aminmax()
    assert (float(sigma[0]), float(sigma[-1])) == pytest.approx(
        (float(ends[0]), float(ends[1])), rel=1e-6
    )


def test_a_spread_that_turns_is_refused():
    turned = parse_table("\n".join((HEADER, *ROWS, "4,4e-6,2e-7,1e-9,300")), "mine")
    with pytest.raises(ValueError, match="rise or fall"):
        device(turned)


def test_a_cell_takes_a_table_for_its_pillar():
    table = law_table(32, (280.0, 300.0, 320.0, 340.0))
    cell = replace(BitCell.preset(), pillar=LAW)
    other = replace(cell, pillar=device(table, law=LAW))
    for gain in cell.column_gains:
        assert other.sigma_window(gain, 1.0) == pytest.approx(
            cell.sigma_window(gain, 1.0), rel=5e-3
        )


def test_a_million_settings_take_a_quarter_second():
    found = device(law_table(16, (280.0, 300.0, 320.0)))
    settings = torch.linspace(4.9e-4, 1.12e-3, 1_000_000)
    read = ReadPoint(temperature=310.0, window=10e-9)
    found.fluctuation(settings[:10], read)
    seconds = []
    for _ in range(5):
        start = time.process_time()
        found.fluctuation(settings, read)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.25
