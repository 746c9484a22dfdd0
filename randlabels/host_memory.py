"""What memory the host has left, as far as the system says."""

import math
import os
import resource
from pathlib import Path


def available_memory() -> float:
    """Bytes that this process may still allocate; inf where the system does not say."""
    free = [math.inf]
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free += [int(line.split()[1]) * 1024.0 for line in lines if "MemAvailable" in line]
    except (OSError, ValueError, IndexError):  # not Linux
        free.append(float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")))
    free += [_free_in_group(), _free_in_address_space()]
    return min(free)


def _free_in_group() -> float:
    """What the control group of a container or of a batch job leaves."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            root = Path("/sys/fs/cgroup")
            return float(int((root / limit).read_text()) - int((root / used).read_text()))
        except (OSError, ValueError):  # another version, or "max"
            continue
    return math.inf


def _free_in_address_space() -> float:
    """What `ulimit -v` leaves."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return math.inf
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return float(limit)
    return float(limit - pages * resource.getpagesize())


def readable(size: float) -> str:
    """A size as a person reads it."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size / 1e3:.3g} kB"
