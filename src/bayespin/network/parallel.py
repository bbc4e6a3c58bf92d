"""One network trained by several processes, each with a device of its own.

Every batch falls into the recipe's `shares`; with P processes share k is process k mod P's. Each
share has a key and so noise of its own, and gradients are added up over shares, then processes:

    ∇ = Σ_p Σ_{k mod P = p} (n_k / n) ∇_k

Symbols: n_k of n examples in share k, ∇_k the gradient of its mean loss. As long as `shares` stays,
the number of processes changes no draw, only the order in which the ∇_k are added: results agree to
rounding, and to the bit between one process and two with two shares. Another number of shares is
another training, of the same objective.

    # torchrun --nproc-per-node 4 train.py
    torch.distributed.init_process_group("nccl")
    run = Run(peers=Processes(), checkpoint=Path("training.safetensors"))
    train(network, data, Recipe(..., shares=4), key, run)

Source: Li et al., arXiv:2006.15704, for data parallelism by adding up gradients; here at once,
after the backward pass, as networks for crossbars are small.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.distributed as dist

# Its default arguments hold the group that is joined when it is imported, which torch's optimisers
# do; held so, a group's threads outlive it, and now and then abort the interpreter as it ends.
import torch.distributed.nn.functional

from bayespin.cite import cites
from bayespin.network.models import Network
from bayespin.nn.folding import BATCH_NORMS
from bayespin.shapes import Tensor


@dataclass(frozen=True)
class Processes:
    """The processes of torch's default group, which must have been joined.

    Raises:
        ValueError: no group was joined.
    """

    def __post_init__(self) -> None:
        if not (dist.is_available() and dist.is_initialized()):
            raise ValueError(
                "`Processes` must be made after a group was joined, but none was; call "
                "`torch.distributed.init_process_group` or enter `processes`."
            )

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""
        return dist.get_rank()

    @property
    def count(self) -> int:
        """Number of processes."""
        return dist.get_world_size()

    def agree(self, network: Network, shares: int, plan: object) -> None:
        """Give all processes the first one's parameters, and see that all plan the same.

        Args:
            network: of the same stages in every process.
            shares: of a batch.
            plan: what else must be equal, of plain Python objects.

        Raises:
            ValueError: shares that the processes cannot divide, plans that differ, or a batch norm,
                whose running statistics every process would have of its own.
        """
        if shares % self.count:
            raise ValueError(
                f"`shares` must be a multiple of the {self.count} processes, but is {shares}."
            )
        norms = [name for name, s in network.stages.items() if isinstance(s, BATCH_NORMS)]
        if norms:
            raise ValueError(
                f"Argument `network` must hold no batch norm to be trained by several processes, "
                f"but `{norms[0]}` is one; take a layer norm, or train in one process."
            )
        plans: list[object] = [None] * self.count
        dist.all_gather_object(plans, plan)
        if any(other != plans[0] for other in plans):
            raise ValueError(
                f"All processes must train alike, but plan {', '.join(map(str, plans))}; give "
                f"all the same data, recipe, key and checkpoint."
            )
        with torch.no_grad():
            for tensor in network.state_dict().values():
                dist.broadcast(tensor, 0)

    @cites("arXiv:2006.15704")
    def add_up(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by its sum over the processes, with one message for each dtype."""
        for dtype in {tensor.dtype for tensor in tensors}:
            own = [tensor for tensor in tensors if tensor.dtype == dtype]
            message = torch.cat([tensor.reshape(-1) for tensor in own])
            dist.all_reduce(message)
            sums = message.split([tensor.numel() for tensor in own])
            for tensor, found in zip(own, sums, strict=True):
                tensor.copy_(found.view_as(tensor))

    def wait(self) -> None:
        """Return when all processes have come here."""
        dist.barrier()


@contextmanager
def processes(
    rank: int, count: int, meeting: Path, backend: Literal["gloo", "nccl"] = "gloo"
) -> Generator[Processes, None, None]:
    """Join the processes of one machine that meet at a file, and leave them in the end.

    Args:
        rank: number of this process, from 0.
        count: number of processes.
        meeting: file on a disk that all see; it must not exist before the first one comes.
        backend: `gloo` for processors, `nccl` for CUDA devices.
    """
    # Two slashes and a path, which itself begins with a third, also where a drive comes first.
    address = f"file:///{meeting.resolve().as_posix().lstrip('/')}"
    dist.init_process_group(backend, init_method=address, rank=rank, world_size=count)
    try:
        yield Processes()
    finally:
        dist.destroy_process_group()
