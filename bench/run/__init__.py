"""A run under way: its inputs, its output folder, its display and its record."""
