"""The same network on a digital accelerator of the same node: what the chip has to beat.

Energies per image with R Monte-Carlo passes, int8 arithmetic, weights (mean and sigma, a byte each)
in 8 KB SRAM banks. Activation traffic, control and leakage are left out, in favour of the baseline.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bayespin.cost.components import ComponentTable


@dataclass(frozen=True, kw_only=True)
class LayerWork:
    """One layer of the network, for one image and one pass."""

    name: str
    macs: int
    weights: int
    outputs: int


@dataclass(frozen=True, kw_only=True)
class DigitalBill:
    """Joules of one image, all passes together, by operation."""

    name: str
    energy_j: float
    breakdown: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class _Work:
    """Operations of one image over all passes."""

    macs: float
    gaussians: float
    weight_bytes: float


def naive_sampling(layers: Sequence[LayerWork], reads: int, table: ComponentTable) -> DigitalBill:
    """Return the bill of a fresh Gaussian and a fresh fetch of (mu, sigma) for each product.

    E = R MACs (e_gauss + e_scale + 2 e_byte + e_MAC); the digital counterpart of reading a noisy
    cell at each product.
    """
    macs = float(reads * _sum(layers, "macs"))
    return _bill("naive sampling", _Work(macs=macs, gaussians=macs, weight_bytes=2.0 * macs), table)


def sample_per_pass(layers: Sequence[LayerWork], reads: int, table: ComponentTable) -> DigitalBill:
    """Return the bill of one weight sample per pass, reused at all positions (`frozen` sampling).

    E = R [weights (e_gauss + e_scale + 2 e_byte) + MACs e_MAC].
    """
    drawn = float(reads * _sum(layers, "weights"))
    macs = float(reads * _sum(layers, "macs"))
    work = _Work(macs=macs, gaussians=drawn, weight_bytes=2.0 * drawn)
    return _bill("one weight sample per pass", work, table)


def moment_path(layers: Sequence[LayerWork], reads: int, table: ComponentTable) -> DigitalBill:
    """Return the bill of output moments in closed form (`per_read` sampling).

    E = R [2 MACs e_MAC + outputs (e_gauss + e_scale)] + 2 weights e_byte: two products and one
    Gaussian per output. Weights stay in place while all passes of a layer run: one fetch an image.
    """
    work = _Work(
        macs=2.0 * reads * _sum(layers, "macs"),
        gaussians=float(reads * _sum(layers, "outputs")),
        weight_bytes=2.0 * _sum(layers, "weights"),
    )
    return _bill("moment path", work, table)


def moment_path_cached(
    layers: Sequence[LayerWork], reads: int, table: ComponentTable
) -> DigitalBill:
    """Return the bill of the moment path that computes the first layer's moments once.

    The first layer sees the same image in every pass, so only its Gaussians are drawn again. The
    best digital competitor; it needs a memory for all passes' activations, not priced.
    """
    cached = (reads - 1) * 2.0 * layers[0].macs
    work = _Work(
        macs=2.0 * reads * _sum(layers, "macs") - cached,
        gaussians=float(reads * _sum(layers, "outputs")),
        weight_bytes=2.0 * _sum(layers, "weights"),
    )
    return _bill("moment path, first layer cached", work, table)


def deterministic_network(layers: Sequence[LayerWork], table: ComponentTable) -> DigitalBill:
    """Return the bill of one pass with plain weights: no sample, one byte per weight.

    E = MACs e_MAC + weights e_byte.
    """
    work = _Work(
        macs=float(_sum(layers, "macs")), gaussians=0.0, weight_bytes=float(_sum(layers, "weights"))
    )
    return _bill("deterministic network", work, table)


def digital_baselines(
    layers: Sequence[LayerWork], reads: int, table: ComponentTable
) -> tuple[DigitalBill, ...]:
    """Return all baselines, the Bayesian ones first.

    Raises:
        ValueError: no layers or no reads.
    """
    if not layers:
        raise ValueError("Argument `layers` must hold at least one layer, but is empty.")
    if reads < 1:
        raise ValueError(f"Argument `reads` must be at least 1, but is {reads}.")
    sampled = (naive_sampling, sample_per_pass, moment_path, moment_path_cached)
    bills = tuple(price(layers, reads, table) for price in sampled)
    return (*bills, deterministic_network(layers, table))


def _sum(layers: Sequence[LayerWork], field: str) -> int:
    return sum(getattr(layer, field) for layer in layers)


def _bill(name: str, work: _Work, table: ComponentTable) -> DigitalBill:
    node, cost = table.baseline.node_energy, table.baseline
    breakdown = {
        "mac": work.macs * cost.mac * node,
        "gaussian": work.gaussians * cost.gaussian * node,
        "scale": work.gaussians * cost.scale * node,
        "weight memory": work.weight_bytes * cost.weight_byte * node,
    }
    return DigitalBill(name=name, energy_j=math.fsum(breakdown.values()), breakdown=breakdown)
