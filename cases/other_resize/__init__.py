"""One case: see case.md."""
