"""Processes that are alive at once take turns, so that one at a time is at work."""

from collections import deque
from collections.abc import Sequence
from threading import Condition


class Turns:
    """Whose turn it is, round and round, in the order of the names given."""

    def __init__(self, names: Sequence[str]) -> None:
        self._queue, self._moved = deque(names), Condition()

    def wait(self, name: str) -> None:
        """Return when it is the turn of `name`."""
        with self._moved:
            self._moved.wait_for(lambda: self._queue[0] == name)

    def rest(self, name: str) -> None:
        """Let every other name have a turn; call it in one's own."""
        with self._moved:
            self._queue.rotate(-1)
            self._moved.notify_all()
        self.wait(name)

    def leave(self, name: str) -> None:
        """Take no more turns."""
        with self._moved:
            self._queue.remove(name)
            self._moved.notify_all()
