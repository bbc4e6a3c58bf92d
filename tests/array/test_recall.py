"""Reads that follow from earlier ones: what is kept over repeated passes changes nothing."""

import pytest
import torch

from bayespin.array.recall import Law, Pass, RecallingCells
from bayespin.array.tiles import RowTiles
from bayespin.rng import Key, KeyedNoise

KEY = Key.root(11)
WINDOW = 1e-8
ROWS, OUTPUTS, IMAGES = 10, 4, 3


def cells():
    generator = KEY.child("cells").generator()
    time = WINDOW * (0.2 + 2 * torch.rand((ROWS, OUTPUTS), generator=generator))
    variance = 0.5 + torch.rand((ROWS, OUTPUTS), generator=generator)
    return RecallingCells(tiles=RowTiles(ROWS, 5), variance=variance, time=time, window=WINDOW)


def passes(drives, waits, *, anew, cell=None):
    """Return the fluctuations of passes, each after a wait, with fixed normal numbers."""
    cell = cells() if cell is None else cell
    turn = Pass(cell, drives, 0.0)
    past, found, noise = [], [], KeyedNoise.from_key(KEY.child("noise"))
    for wait in waits:
        if anew:  # other tensors of the same numbers: nothing can be taken from earlier passes
            turn = Pass(cell, drives.clone(), 0.0)
        start = past[-1].end + wait if past else 0.0
        reads = turn.follow(past, start, noise.normal(turn.power))
        past = (past + reads)[-7:]
        found += [read.value for read in reads]
    return torch.stack(found), turn


@pytest.mark.parametrize("positions", [1, 2])
@pytest.mark.parametrize("waits", [[0.0] * 22, [0.0] * 16 + [3e-9] + [0.0] * 5, [5e-9] * 20])
def test_what_repeated_passes_keep_changes_nothing(positions, waits):
    drives = torch.rand((positions, IMAGES, ROWS), generator=KEY.child("x").generator())
    kept, turn = passes(drives, waits, anew=False)
    anew, _ = passes(drives, waits, anew=True)
    torch.testing.assert_close(kept, anew, rtol=1e-4, atol=1e-5)
    assert (turn._law is not None) == (positions == 1)  # else it was not tried


def test_a_law_is_that_of_all_reads_at_once():
    # Weights and deviation of a read given the last L, from their covariance matrix.
    drives = torch.rand((1, IMAGES, ROWS), generator=KEY.child("x").generator())
    cell = cells()
    _, turn = passes(drives, [0.0] * 16, anew=False, cell=cell)
    law = turn._law
    assert isinstance(law, Law)
    depth = len(law.shares)
    waits = [None, *(lag * WINDOW for lag in range(depth))]
    by_lag = torch.stack([cell.common(drives[0].square(), wait) for wait in waits]).double()
    lags = (torch.arange(depth + 1)[:, None] - torch.arange(depth + 1)).abs()
    joint = by_lag[lags].permute(2, 3, 4, 0, 1)  # oldest first, the read itself last
    inner, edge = joint[..., :-1, :-1], joint[..., :-1, -1:]
    share = torch.linalg.solve(inner, edge)
    rest = joint[..., -1, -1] - (share * edge).sum((-2, -1))
    found = torch.stack(law.shares, -1).double()
    torch.testing.assert_close(found, share[..., 0], rtol=0, atol=2e-4)
    torch.testing.assert_close(law.deviation.double(), rest.sqrt(), rtol=1e-4, atol=0)
