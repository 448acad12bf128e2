"""What this process may use of the machine."""

import os


def num_cores() -> int:
    """Return how many cores this process may run on; a container may allow fewer."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
