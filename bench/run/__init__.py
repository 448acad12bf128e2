"""State of a run: its inputs, its output folder, its display and its record."""
