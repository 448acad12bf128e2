"""Public cases in which the two frameworks gave different results, each rebuilt."""
