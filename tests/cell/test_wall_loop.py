"""Trains of pulses: walked to from the median, yet the exact inverse of their law."""

import torch

from bayespin.cell.bit_cell import BitCell
from bayespin.cell.interface import WantedCells
from bayespin.cell.wall_loop import VERIFIED, Trains
from bayespin.rng import Key, KeyedNoise


def test_trains_end_at_the_inverse_of_their_distribution_also_in_far_tails():
    trains = Trains.of(20, 0.31, 0.07)
    pulses = torch.arange(21.0).repeat_interleave(500)
    draw = KeyedNoise.from_key(Key.root(5)).normal(pulses)
    draw[::7] *= 4  # tails that a million cells would reach
    found = trains.net(pulses, draw)
    rows = trains.bounds[pulses.long()]
    inverse = torch.searchsorted(rows, draw.double()[:, None])[:, 0]
    assert torch.equal(found, inverse.float())
    assert int((found != pulses).sum()) > 3000


def test_draws_at_a_bound_fall_where_the_bound_in_double_precision_says():
    trains = Trains.of(3, 0.31, 0.07)
    bounds = trains.bounds[2, :4]
    draw = torch.cat([bounds.float(), bounds.float().nextafter(torch.tensor(9.0))])
    inverse = torch.searchsorted(trains.bounds[2], draw.double())
    assert torch.equal(trains.net(torch.full((8,), 2.0), draw), inverse.float())


def test_means_far_beyond_the_range_end_at_its_edge():
    cell = BitCell.preset()
    mean = torch.tensor([[-4.0], [4.0], [0.0]]).double()
    wanted = WantedCells(mean=mean, sigma=torch.full_like(mean, 0.05), read_noise=0.012)
    done = cell.program(wanted, 4.0, Key.root(0))
    low, high = (done.cells.mean[:2, 0] / cell.full_scale).tolist()
    assert low < -0.85  # trains that went astray may lack a notch or two of 15
    assert high > 0.85
    assert bool((done.state["wall_outcome"][:2] != VERIFIED).all())
    assert int(done.state["wall_pulses"].max()) < 200
