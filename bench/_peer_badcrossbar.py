"""One tile's wires in badcrossbar 1.1.0, timed; run in an interpreter that has it.

    pip install --no-deps badcrossbar==1.1.0; pip install numpy scipy sigfig pathvalidate

Arguments: a file of conductances (numpy, rows × columns), ohms of a segment of row and of column,
and a file for the transfer matrix (columns × rows), which a test or a bench compares with
`array.wires.solve`. Prints one line of JSON last. Drawing is not used, so cairo may be absent.
"""

import json
import sys
import time
from unittest.mock import MagicMock

import numpy as np


def main(cells: str, row: str, column: str, out: str) -> dict[str, float]:
    """Return the seconds of one batch of 32 drives and of one volt on every row in turn."""
    sys.modules.setdefault("cairo", MagicMock())
    import badcrossbar  # ty: ignore[import-not-found]

    conductance = np.load(cells)
    seconds, result = {}, None
    drives = {"batch32": np.full((len(conductance), 32), 0.1), "transfer": np.eye(len(conductance))}
    for name, volts in drives.items():
        started = time.perf_counter()
        result = badcrossbar.compute(
            volts, 1 / conductance, r_i_word_line=float(row), r_i_bit_line=float(column)
        )
        seconds[name] = time.perf_counter() - started
    np.save(out, result.currents.output.T if result is not None else np.empty(0))
    return seconds


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
