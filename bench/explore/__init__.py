"""Look at a data set, and at what a run learned from it, as people do."""
