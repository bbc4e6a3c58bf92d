"""The gallery says of every preset what its laws say, in 80 columns."""

import pytest
from typer.testing import CliRunner

from bayespin.cli import app
from bayespin.device import presets
from bayespin.device.stochastic_mtj import easy_plane_field
from bayespin.load import resource_names
from bayespin.report import gallery
from bayespin.units import parse


def test_every_preset_is_listed_with_its_own_numbers():
    text = CliRunner().invoke(app, ["devices"]).output
    assert all(name in text for name in resource_names("presets"))
    assert max(map(len, text.splitlines())) <= 80
    field = next(line for line in text.splitlines() if line.strip().startswith("B_k"))
    low, high = field.split("B_k")[1].split(" to ")
    pillar = presets.junction(resource_names("presets")[0])
    fields = easy_plane_field(pillar, pillar.level_settings()).abs().aminmax()
    assert parse(low.strip(), "T") == pytest.approx(float(fields[0]), rel=6e-3)
    assert parse(high.strip(), "T") == pytest.approx(float(fields[1]), rel=6e-3)


@pytest.mark.parametrize(
    "source, found",
    [
        ("A; confidence high. B;\nconfidence low.", "low"),
        ("A; confidence high.", "high"),
        ("Measured.", "unstated"),
    ],
)
def test_the_lowest_confidence_counts(source, found):
    assert gallery.lowest_confidence(source) == found
