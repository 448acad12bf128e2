"""Intervals, comparisons and checks, which decide what a run shows."""
