"""The entries of docs/differences.md."""

import re
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "differences.md"


def read_titles(text: str) -> dict[str, str]:
    """Number and title of every entry."""
    return dict(re.findall(r"(?m)^## (D\d\d) (.+)$", text))
