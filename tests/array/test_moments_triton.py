"""The fused reads against their plain torch twin, and the twin against the moments of the tiles.

The kernel itself runs in a process of its own: on CUDA where there is a device, else interpreted by
Triton on the CPU. Without Triton those tests are skipped.
"""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bayespin.array.moments_triton import FusedTiles, fused_reads, plain_reads
from bayespin.rng import Key
from tests.statistical.check import mean_is, variance_is

CUDA = torch.cuda.is_available()
needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton is not installed"
)
GENERATOR = Key.root(2).generator()
TILES = FusedTiles(
    mean=torch.rand(2, 5, 3, generator=GENERATOR) - 0.5,
    variance=torch.rand(2, 5, 3, generator=GENERATOR),
    step=torch.full((2, 3), 2.0**-10),
    half_steps=2**20,
)
DRIVES = torch.rand(1, 2, 5, generator=GENERATOR)


@pytest.fixture(scope="module")
def runs() -> dict:
    program = Path(__file__).with_name("fused_reads.py")
    interpreted = {} if CUDA else {"TRITON_INTERPRET": "1"}
    done = subprocess.run(
        [sys.executable, str(program)],
        env={**os.environ, **interpreted},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_triton
def test_the_kernel_follows_its_twin(runs):
    """Within a step of the fine converters of two tiles; of coarse ones nearly all are equal."""
    assert runs["fine"] <= 2 * 2.0**-15 + 1e-5
    assert runs["coarse"] < 0.01
    assert runs["clipped"] > 0.1
    assert runs["other seed"] > 0.1
    assert runs["noise"] == pytest.approx(runs["expected noise"], rel=0.1)


@needs_triton
def test_any_split_of_the_reads_gives_the_same_bits(runs):
    assert runs["split"]


def test_the_twin_has_the_moments_of_its_tiles():
    """20,000 images of one drive, which sees 5 % of the variance and 0.04 σ with power 0.999."""
    reads = plain_reads(DRIVES.expand(20_000, -1, -1), TILES, Key.root(3).seed(), range(1))
    mean = torch.einsum("bti,tij->bj", DRIVES, TILES.mean)[0]
    variance = torch.einsum("bti,tij->bj", DRIVES.square(), TILES.variance)[0]
    scaled = (reads[0] - mean) / variance.sqrt()
    mean_is(scaled[:, 0], 0.0)
    variance_is(scaled[:, 1], 1.0)
    mean_is(scaled[:, 0] * scaled[:, 2], 0.0)


def test_quiet_cells_are_rounded_and_clipped():
    quiet = replace(TILES, variance=torch.zeros_like(TILES.variance), half_steps=100)
    y = torch.einsum("bti,tij->tbj", DRIVES, TILES.mean) * 1024
    expected = y.round().clamp(-100, 100).sum(0) / 1024
    assert int((y.abs() > 100).sum()) > 0
    torch.testing.assert_close(plain_reads(DRIVES, quiet, 0, range(1))[0], expected)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"`step` must have shape \(2, 3\), as `mean` has it"):
        replace(TILES, step=TILES.step[:1])
    with pytest.raises(ValueError, match=r"`mean` must be float32, but is torch\.float64"):
        replace(TILES, mean=TILES.mean.double())
    with pytest.raises(ValueError, match=r"`drives` must be float32 of shape \(images, 2, 5\)"):
        plain_reads(DRIVES[:, :1], TILES, 0, range(1))
    with pytest.raises(ValueError, match="`reads` must be 1 to 65535 numbers from 0 on"):
        plain_reads(DRIVES, TILES, 0, range(0, 4, 2))
    with pytest.raises(ValueError, match="`drives` must be on a CUDA device, with Triton"):
        fused_reads(DRIVES, TILES, 0, range(1))
