"""Start worker processes, ask them for jobs, and let them take turns."""
