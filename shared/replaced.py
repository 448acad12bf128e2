"""Give a name in a module or class another value for a while."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def replaced(owner: object, name: str, value: object) -> Iterator[None]:
    """Let `owner.name` be another value until the end of the `with` block.

    Args:
        owner: the module or class that has the name itself, not by inheritance.
    """
    kept = vars(owner)[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, kept)
