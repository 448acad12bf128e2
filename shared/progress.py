"""A callback by which long work says how far it is."""

from collections.abc import Callable

OnBatch = Callable[[int, int], None]  # (batches done, batches in all)


def ignore(done: int, total: int) -> None:
    """Default callback: does nothing."""
