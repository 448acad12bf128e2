"""What the numbers of a run show: intervals, comparisons and checks."""
