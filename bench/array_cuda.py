"""Reads of 4096 images × 4096 rows × 4096 outputs on CUDA: the fused kernel over its bound.

`gaussian_cuda` is the share of the rate at which torch multiplies matrices in tf32 on this device:
the time of two such products over that of a read, which takes both, noise and converters. Without
a device it says so and measures nothing.
"""

from collections.abc import Callable

import torch
from _measure import interleaved, report

from bayespin.array.moments_triton import FusedTiles, available, fused_reads
from bayespin.rng import Key

SIZE = 4096
KEY = Key.root(0)


def main() -> None:
    """Time a read and a product in turns."""
    device = torch.device("cuda")
    if not torch.cuda.is_available() or not available(device):
        print("bench array_cuda needs a CUDA device and Triton; nothing was measured")
        return
    torch.set_float32_matmul_precision("high")
    generator = KEY.generator(device)
    x, mean, variance = torch.rand((3, SIZE, SIZE), generator=generator, device=device)
    tiles = FusedTiles(
        mean=mean[None] - 0.5,
        variance=0.01 * variance[None],
        step=torch.ones((1, SIZE), device=device),
        half_steps=127,
    )

    def synchronised(task: Callable[[], object]) -> Callable[[], object]:
        def timed() -> None:
            task()
            torch.cuda.synchronize()

        return timed

    tasks = {
        "matmul": lambda: x @ mean,
        "read": lambda: fused_reads(x[:, None], tiles, KEY.seed(), range(1)),
    }
    found = interleaved({name: synchronised(task) for name, task in tasks.items()}, 51)
    values = {
        "matmul_tflops": 2 * SIZE**3 / found["matmul"] / 1e12,
        "gaussian_cuda": 2 * found["matmul"] / found["read"],
    }
    units = {"matmul_tflops": "TFLOP/s", "gaussian_cuda": "share"}
    report("array_cuda", values, units, "gaussian_cuda")


if __name__ == "__main__":
    main()
