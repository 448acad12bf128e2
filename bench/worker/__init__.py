"""Code of the worker process, the only part of `bench` that loads a framework."""
