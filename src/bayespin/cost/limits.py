"""Physical limits that no configuration may undercut."""

from bayespin.cite import cites
from bayespin.constants import BOLTZMANN


def quantisation_snr(bits: int) -> float:
    """Return the signal-to-noise power ratio of `bits` ideal bits, SNR = 1.5 · 4^b."""
    return 1.5 * 4**bits


@cites("10.3389/fnins.2015.00484")
def column_energy_limit(bits: int, temperature: float) -> float:
    """Return the least J that a column must dissipate for `bits` bits, E = 2 k T SNR.

    Current N G V with Johnson noise 4 k T N G over a bandwidth 1/(2 t): independent of N, G and t.
    `temperature` in K. Shot noise at read voltages above 50 mV asks for more.
    """
    return 2.0 * BOLTZMANN * temperature * quantisation_snr(bits)


def conversion_energy_limit(bits: int, temperature: float) -> float:
    """Return the least J of a `bits`-bit conversion, E = 8 k T SNR = 12 k T 4^b."""
    return 8.0 * BOLTZMANN * temperature * quantisation_snr(bits)


def check_column(name: str, energy: float, bits: int, temperature: float) -> None:
    """Refuse a read whose column energy lies below the thermal limit of its converter.

    Raises:
        ValueError: one sentence with the energy, the limit and the remedies.
    """
    limit = column_energy_limit(bits, temperature)
    if energy < limit:
        raise ValueError(
            f"A full-scale column of layer `{name}` must dissipate at least 2kT·SNR = "
            f"{limit:.3g} J for {bits} bits, but dissipates {energy:.3g} J; "
            f"use fewer ADC bits, a longer read window or a higher read voltage."
        )


def check_conversion(energy: float, bits: int, temperature: float) -> None:
    """Refuse a converter priced below the sampling limit.

    Raises:
        ValueError: one sentence with the energy, the limit and the remedies.
    """
    limit = conversion_energy_limit(bits, temperature)
    if energy < limit:
        raise ValueError(
            f"A conversion of {bits} bits must take at least 8kT·SNR = {limit:.3g} J, "
            f"but is priced at {energy:.3g} J; use fewer bits or a higher supply."
        )
