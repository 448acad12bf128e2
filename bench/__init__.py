"""The runner, which starts each side in its own process and compares the results."""
