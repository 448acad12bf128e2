"""Compare what an answer gives with the reference, and say in words what is off."""

from typing import Any

import numpy as np


class NotYet(Exception):
    """An answer does not solve its exercise; the message says what is off and where."""


def expect(is_right: bool | np.bool, message: str) -> None:
    """Go on if the answer is right here.

    Raises:
        NotYet: it is not; `message` says why.
    """
    if not is_right:
        raise NotYet(message)


def expect_close(
    found: Any, wanted: np.ndarray, where: str, advice: str, tolerance: float = 1e-4
) -> None:
    """Compare an array of the answer with the reference.

    Args:
        found: array or tensor of either framework, or whatever the answer returns.
        where: the place of the array in the exercise, such as "block 2".
        advice: what to look at if the arrays differ there.
        tolerance: the largest difference that counts as rounding.

    Raises:
        NotYet: `found` is no array, has another shape, or differs.
    """
    if hasattr(found, "detach"):
        found = found.detach()  # NumPy takes no tensor of PyTorch that has a gradient
    try:
        values = np.asarray(found, dtype="float64")
    except (TypeError, ValueError):
        values = None
    if found is None or values is None:
        kind = "nothing" if found is None else f"a {type(found).__name__}"
        raise NotYet(f"at {where}, your function returns {kind}, and no array.")
    if values.shape != wanted.shape:
        raise NotYet(
            f"at {where}, the shape is {values.shape} and must be {wanted.shape}: "
            f"{advice}."
        )
    difference = np.abs(values - wanted).max()
    if not difference <= tolerance:  # written so that NaN is not taken for agreement
        raise NotYet(
            f"the largest difference, {difference:.2g}, appears first at {where}: "
            f"{advice}."
        )
