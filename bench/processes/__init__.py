"""Start worker processes, give them jobs, and let them take turns."""
