"""The eliminated network against a sparse solution of every node, closed forms and Kirchhoff."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import splu

from bayespin.array.wires import Wires, current_error, eliminate, row_potentials, solve
from bayespin.rng import Key

CHIP = Wires(row_resistance=4.0, column_resistance=3.0, driver_resistance=500.0)
KINDS = {
    "chip": CHIP,
    "sense": replace(CHIP, sense_resistance=50.0, access_resistance=2e3),
    "both": replace(CHIP, both_sides=True, sense_resistance=7.0),
    "bare": Wires(row_resistance=1.0, column_resistance=1.0),
}


def some_cells(rows, columns, low=8e-5, high=2e-4, seed=0):
    uniform = torch.rand(rows, columns, generator=Key.root(seed).generator(), dtype=torch.float64)
    return low * (high / low) ** uniform


class Network:
    """Every node of a network whose segments all resist, as one sparse matrix."""

    def __init__(self, cells, wires):
        self.wires, self.shape = wires, cells.shape
        rows, columns = cells.shape
        n = rows * columns
        self.g = cells.numpy() / (1 + cells.numpy() * wires.access_resistance)
        row, column = np.arange(n).reshape(rows, columns), n + np.arange(n).reshape(rows, columns)
        self.links = [
            (row, column, self.g),
            (row[:, :-1], row[:, 1:], 1 / wires.row_resistance),
            (column[:-1], column[1:], 1 / wires.column_resistance),
        ]
        driver = 1 / (wires.driver_resistance + wires.row_resistance)
        self.sense = 1 / (wires.sense_resistance + wires.column_resistance)
        self.drive = np.zeros((2 * n, rows))
        for end in (0, -1) if wires.both_sides else (0,):
            self.drive[row[:, end], np.arange(rows)] += driver
        self.ends = np.zeros((2 * n, columns))
        self.ends[column[-1], np.arange(columns)] = self.sense
        self.factors = splu(self.matrix())

    def matrix(self):
        a, b, g = (
            np.concatenate([np.broadcast_to(link[i], link[0].shape).ravel() for link in self.links])
            for i in range(3)
        )
        n = len(self.drive)
        off = sparse.coo_matrix((g, (a, b)), shape=(n, n))
        off = off + off.T
        loose = self.drive.sum(1) + self.ends.sum(1)
        return (sparse.diags(np.asarray(off.sum(1)).ravel() + loose) - off).tocsc()

    def nodes(self, volts, sense=None):
        return self.factors.solve(self.drive @ volts + (0 if sense is None else self.ends @ sense))

    def transfer(self):
        nodes = self.nodes(np.eye(self.shape[0]))
        return (self.ends.T @ nodes).T

    def drops(self, nodes):
        rows, columns = self.shape
        top, bottom = np.split(nodes, 2)
        return (top - bottom).reshape(rows, columns, -1).transpose(1, 0, 2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (6, 1), (6, 9), (13, 5)])
@pytest.mark.parametrize("low, high", [(1e-6, 1e-4), (8e-5, 2e-4)])
def test_currents_and_voltages_are_those_of_every_node(kind, shape, low, high):
    cells, wires = some_cells(*shape, low, high), KINDS[kind]
    network, solved = Network(cells, wires), solve(cells, wires)
    exact = network.transfer()
    np.testing.assert_allclose(solved.transfer.numpy(), exact, rtol=1e-11, atol=0)
    error = np.abs(solved.transfer.numpy() - exact).sum(1)
    assert np.all(error <= solved.error_bound.numpy() + 1e-12 * exact.sum(1))  # the oracle's own
    drops = network.drops(network.nodes(np.eye(shape[0])))
    np.testing.assert_allclose(solved.cell_voltages().numpy(), drops, rtol=0, atol=1e-12)
    weights = some_cells(shape[1], 2, 0.3, 3.0, seed=1) - 1
    nodes = network.nodes(np.zeros((shape[0], 2)), weights.numpy())
    adjoint = solved.adjoint_voltages(weights).numpy()
    np.testing.assert_allclose(adjoint, -network.drops(nodes), rtol=0, atol=1e-12)


@pytest.mark.parametrize("gone", ["row_resistance", "column_resistance", "driver_resistance"])
@pytest.mark.parametrize("both", [False, True])
def test_a_resistance_of_zero_is_the_limit_of_small_ones(gone, both):
    cells = some_cells(6, 9)
    wires = replace(CHIP, both_sides=both, **{gone: 0.0})
    none, some, more = (
        solve(cells, replace(wires, **{gone: ohm})).transfer for ohm in (0.0, 1e-3, 2e-3)
    )
    # what a milliohm changes, taken off twice by the straight line through the two others
    torch.testing.assert_close(2 * some - more, none, rtol=1e-10, atol=0)
    assert float((some / none - 1).abs().max()) > 1e-7


def test_wires_that_do_not_resist_leave_the_cells_alone():
    cells = some_cells(5, 4)
    for both in (False, True):
        wires = Wires(row_resistance=0.0, column_resistance=0.0, both_sides=both)
        torch.testing.assert_close(solve(cells, wires).transfer, cells, rtol=1e-15, atol=0)
    access = Wires(row_resistance=0.0, column_resistance=0.0, access_resistance=3e3)
    expected = 1 / (1 / cells + 3e3)
    torch.testing.assert_close(solve(cells, access).transfer, expected, rtol=1e-14, atol=0)


def test_a_single_cell_is_a_chain_of_resistors():
    wires = Wires(
        row_resistance=3.0,
        column_resistance=5.0,
        driver_resistance=70.0,
        sense_resistance=11.0,
        access_resistance=900.0,
    )
    cell = torch.tensor([[1e-4]], dtype=torch.float64)
    assert solve(cell, wires).transfer.item() == pytest.approx(1 / (1e4 + 989), rel=1e-14)
    pair = 1 / (1e4 + 900 + 16 + 73 / 2)
    both = solve(cell, replace(wires, both_sides=True))
    assert both.transfer.item() == pytest.approx(pair, rel=1e-14)


def test_one_row_of_equal_cells_is_a_ladder():
    # cosh and sinh of the ladder's angle: doi:10.1119/1.1937804 (a chain of equal sections)
    columns, r, g = 40, 5.0, 1e-3
    wires = Wires(row_resistance=r, column_resistance=0.0)
    angle = 2 * np.arcsinh(np.sqrt(r * g) / 2)
    section = np.arange(1, columns + 1)
    exact = g * np.cosh((columns - section + 0.5) * angle) / np.cosh((columns + 0.5) * angle)
    found = solve(torch.full((1, columns), g, dtype=torch.float64), wires).transfer
    np.testing.assert_allclose(found.numpy()[0], exact, rtol=1e-12)


@given(st.integers(1, 7), st.integers(1, 7), st.sampled_from(sorted(KINDS)), st.integers(0, 99))
def test_rows_driven_together_superpose_and_all_power_is_dissipated(rows, columns, kind, seed):
    cells, wires = some_cells(rows, columns, 1e-6, 3e-4, seed), KINDS[kind]
    network, solved = Network(cells, wires), solve(cells, wires)
    volts = some_cells(rows, 1, 1e-2, 1.0, seed + 1).numpy()
    nodes = network.nodes(volts)
    together = (network.ends.T @ nodes)[:, 0]
    np.testing.assert_allclose(solved.transfer.numpy().T @ volts[:, 0], together, rtol=1e-11)
    # Tellegen: cells, segments, drivers and senses burn what the drivers deliver.
    burnt = sum(float((g * (nodes[a] - nodes[b])[..., 0] ** 2).sum()) for a, b, g in network.links)
    burnt += float((network.ends.sum(1) * nodes[:, 0] ** 2).sum())
    for column in (0, -1) if wires.both_sides else (0,):
        start = np.arange(rows * columns).reshape(rows, columns)[:, column]
        each = 1 / wires.terminal_resistance
        burnt += float((each * (volts[:, 0] - nodes[start, 0]) ** 2).sum())
    delivered = float(volts[:, 0] @ solved.row_input().numpy() @ volts[:, 0])
    assert delivered == pytest.approx(burnt, rel=1e-11)


def test_drivers_and_integrators_may_change_places():
    # A network seen from its columns is the network of the transposed cells, turned round.
    cells = some_cells(7, 4)
    wires = replace(CHIP, sense_resistance=20.0)
    turned = Wires(
        row_resistance=3.0, column_resistance=4.0, driver_resistance=20.0, sense_resistance=500.0
    )
    there = solve(cells.T.flip(0, 1), turned).transfer.flip(0, 1).T
    torch.testing.assert_close(solve(cells, wires).transfer, there, rtol=1e-12, atol=0)


@pytest.mark.parametrize("size", [1e-12, 1e-9, 1e-6])
def test_the_error_bound_holds_for_planted_errors(size):
    cells, wires = some_cells(9, 8), CHIP
    exact = solve(cells, wires)
    blocks = eliminate(cells, wires)
    u = row_potentials(blocks)
    generator = Key.root(5).generator()
    for at in (slice(None), slice(2, 3)):
        wrong = u.clone()
        wrong[at] += size * torch.randn(u[at].shape, generator=generator, dtype=u.dtype)
        currents = torch.bmm(blocks.schur, wrong)
        error = (currents.sum(1) - exact.transfer.T).abs().sum(0)
        bound = current_error(blocks, wires, wrong, currents)
        assert bool((error <= bound).all())
        shifted = currents.clone()
        shifted[at] += size * cells.mean() * torch.rand(shifted[at].shape, generator=generator)
        error = (shifted.sum(1) - exact.transfer.T).abs().sum(0)
        bound = current_error(blocks, wires, wrong, shifted)
        assert bool((error <= bound).all())
        assert float(bound.max()) < 1e4 * float(error.max())


def test_a_tile_is_solved_to_1e_8_by_its_own_bound():
    for low, high in ((1e-6, 1e-4), (8e-5, 2e-4)):
        solved = solve(some_cells(64, 128, low, high), KINDS["bare"])
        assert float((solved.error_bound / solved.transfer.mean(1)).max()) < 1e-8


@pytest.mark.parametrize("name", ["row_resistance", "sense_resistance", "access_resistance"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_resistances_are_not_negative(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be finite and not negative"):
        replace(CHIP, **{name: value})


@pytest.mark.parametrize("value", [-1e-6, float("nan"), float("inf")])
def test_cells_to_solve_conduct(value):
    with pytest.raises(ValueError, match="`conductance` must hold at least one cell"):
        solve(torch.tensor([[1e-4, value]]), CHIP)
