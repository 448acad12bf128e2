"""What this process may use of the machine."""

import os


def num_cores() -> int:
    """Cores that this process may run on, which a container makes fewer."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
