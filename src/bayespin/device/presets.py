"""What the shipped presets say of single devices."""

from bayespin.device.stochastic_mtj import StochasticMtj
from bayespin.load import build, read_resource


def junction(name: str = "easyplane-50nm") -> StochasticMtj:
    """Return the tunable junction of a shipped preset in closed form.

    A preset may name a table of characterised values for its cells' pillars
    (`BitCell.preset(name).pillar`, a `TabulatedDevice`); this is the law that stands beside it.

    Raises:
        InputError: no such preset; the sentence names the nearest one.
    """
    section = read_resource("presets", name)["pillar"]
    fields = {key: value for key, value in section.items() if key != "table"}
    return build(StochasticMtj, fields, f"preset {name}")
