"""One of two processes that train together: `python -m tests.network.two_processes RANK FOLDER`."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from bayespin.network.checkpoint import save_network
from bayespin.network.ivon import Ivon
from bayespin.network.models import Network
from bayespin.network.parallel import processes
from bayespin.network.training import Recipe, Run, train
from bayespin.nn.mean_field import MeanFieldLayer, SigmaWindow
from bayespin.nn.point import PointLayer
from bayespin.nn.product import Dense
from bayespin.rng import Key

KEY = Key.root(65)
RECIPE = Recipe(epochs=3, batch=8, learning_rate=0.02, schedule="constant", shares=2,
                window=SigmaWindow(floor=0.01, cap=0.06))  # fmt: skip


def network_of(layer=MeanFieldLayer, start: int = 0) -> Network:
    first, last = (layer(Dense(*shape), KEY.child(start, *shape)) for shape in ((2, 6), (6, 2)))
    return Network({"first": first, "relu": nn.ReLU(), "last": last})


def data() -> tuple[torch.Tensor, torch.Tensor]:
    """The last of three batches has one example: a process is idle."""
    points = torch.randn(17, 2, generator=KEY.child("points").generator())
    return points, (points.sum(1) > 0).long()


TRAININGS = {
    "adam": (MeanFieldLayer, RECIPE),
    "adam-four": (MeanFieldLayer, replace(RECIPE, shares=4)),
    "adam-per-read": (MeanFieldLayer, replace(RECIPE, estimator="local_reparameterised")),
    "ivon": (MeanFieldLayer, replace(RECIPE, method=Ivon(start=1.0, memory=0.9))),
    "ivon-four": (MeanFieldLayer, replace(RECIPE, shares=4, method=Ivon(start=1.0, memory=0.9))),
    "plain": (PointLayer, RECIPE),
    "bfloat16": (MeanFieldLayer, replace(RECIPE, precision="bfloat16")),
}


def threads() -> list[str]:
    """Names of this process's threads, where the system tells them."""
    return [name.read_text().strip() for name in Path("/proc/self/task").glob("*/comm")]


def main(rank: int, folder: Path) -> None:
    def saved(name: str, network: Network) -> None:
        save_network(folder / f"{name}-{rank}.safetensors", network)

    def refused(name: str, network: Network, recipe: Recipe, run: Run) -> None:
        try:
            train(network, data(), recipe, KEY, run)
        except (ValueError, RuntimeError) as error:
            (folder / f"{name}-{rank}.txt").write_text(f"{type(error).__name__}: {error}")

    with processes(rank, 2, folder / "meeting") as peers:
        run = Run(peers=peers)
        for name, (layer, recipe) in TRAININGS.items():
            # Other starts: the first process's are taken.
            saved(name, train(network_of(layer, start=rank), data(), recipe, KEY, run))
        kept = Run(peers=peers, checkpoint=folder / "resumed.training")
        train(network_of(), data(), replace(RECIPE, epochs=1), KEY, kept)
        saved("resumed", train(network_of(), data(), RECIPE, KEY, kept))
        refused("wild", network_of(), replace(RECIPE, epochs=60, learning_rate=1e30), run)
        refused("odd", network_of(), replace(RECIPE, shares=3), run)
        refused("unlike", network_of(), replace(RECIPE, epochs=2 + rank), run)
        norm = Network({"dense": PointLayer(Dense(2, 2), KEY), "norm": nn.BatchNorm1d(2)})
        refused("norm", norm, RECIPE, run)
        together = threads()
    (folder / f"threads-{rank}.json").write_text(json.dumps([together, threads()]))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(int(sys.argv[1]), Path(sys.argv[2]))
