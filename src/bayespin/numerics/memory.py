"""How much memory may still be taken."""

import os
from pathlib import Path

import torch

_GROUP = Path("/sys/fs/cgroup")
_UNKNOWN = 4 * 2**30


def free_memory(device: torch.device | str = "cpu") -> int:
    """Return the bytes that can still be taken on a device.

    CUDA: what the driver reports plus what torch holds but does not use. CPU: what the system
    calls available, or less where a control group (a container) allows less; half of the memory
    where the system does not say, 4 GiB where it says nothing.
    """
    device = torch.device(device)
    if device.type == "cuda":
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + held
    return min(_available(Path("/proc/meminfo")), _allowed(_GROUP))


def _available(meminfo: Path) -> int:
    try:
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return _UNKNOWN


def _allowed(group: Path) -> int:
    try:
        limit = int((group / "memory.max").read_text())  # "max" where there is none
        used = int((group / "memory.current").read_text())
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        # Cached pages of files count as used but are given back on demand.
        return max(0, limit - used + int(stat.get("inactive_file", 0)))
    except (OSError, ValueError):
        return 2**63 - 1
