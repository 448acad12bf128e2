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
    """Give each measurement: its case, what is left in, the seed, and the figure.

    Where nothing is left in, the outputs come too, so that the sides can be compared.
    """
    os.environ["KERAS_BACKEND"] = BACKENDS[side]  # one case runs Keras on both sides
    for name in names:
        case, equal = CASES[name], {}
        folder = name.replace("-", "_")
        module = importlib.import_module(f"cases.{folder}.{side}_side")
        for left_in in (EQUAL, *(one.name for one in case.differences)):
            for seed in range(num_seeds):
                differences = frozenset({left_in} - {EQUAL})
                figure, outputs = module.measure(seed, differences)
                found = {"case": name, "left_in": left_in, "seed": seed}
                if left_in == EQUAL:
                    equal[seed] = outputs
                    found["outputs"] = outputs.ravel().tolist()
                if case.compares_outputs:
                    figure = float(abs(outputs - equal[seed]).max())
                yield {**found, "figure": figure}


if __name__ == "__main__":
    for line in measure(sys.argv[1], int(sys.argv[2]), sys.argv[3:]):
        print(json.dumps(line), flush=True)
