"""Measure cases on one side: `python -m cases.run SIDE SEEDS CASE...`.

Each measurement becomes a line of JSON on stdout. The two sides run in processes of
their own, since a process holds one framework only.
"""

import importlib
import json
import os
import sys
from collections.abc import Iterator

from cases.table import BACKENDS, CASES, EQUAL


def measure(side: str, num_seeds: int, names: list[str]) -> Iterator[dict]:
    """Give each measurement: its case, what is left in, the seed, and its values."""
    # One case runs Keras on both sides.
    os.environ["KERAS_BACKEND"] = BACKENDS[side]
    for name in names:
        folder = name.replace("-", "_")
        module = importlib.import_module(f"cases.{folder}.{side}_side")
        for left_in in (EQUAL, *(one.name for one in CASES[name].differences)):
            for seed in range(num_seeds):
                differences = frozenset() if left_in == EQUAL else {left_in}
                value = module.measure(seed, frozenset(differences))
                values = value.ravel().tolist() if hasattr(value, "ravel") else [value]
                found = {"case": name, "left_in": left_in, "seed": seed}
                yield {**found, "values": values}


if __name__ == "__main__":
    for line in measure(sys.argv[1], int(sys.argv[2]), sys.argv[3:]):
        print(json.dumps(line), flush=True)
