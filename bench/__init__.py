"""The runner: starts each side in a process of its own and compares what comes back."""
