"""Parse the command of `python -m bench COMMAND` and execute it.

`bench.cli` is imported only for a command, so that --help answers at once.
"""

import argparse
import sys

COMMANDS = {
    "all": "Train every arm, compare, time and export them, and write a report.",
    "parity": "Check rung by rung that both sides compute the same.",
    "timing": "Time every phase of each arm in fresh processes, and compare the arms.",
    "control": "Time each arm against itself, to see how much equal times vary here.",
    "speedups": "Measure the gain of each speed-up, from the usual program to the "
    "fastest.",
    "scaling": "Train on 1, 2, 4, 8 and 10 times the images, and measure time and "
    "memory.",
    "differences": "Measure each difference between the frameworks, and its effect on "
    "accuracy.",
    "experiments": "Train with several settings over several seeds, and say what it "
    "shows.",
    "pairs": "Show a step of the two plain programs, one beside the other, and what "
    "differs.",
    "site": "Build the lesson as a site of static pages, which needs no network.",
    "check": "Find the traps of the ledger in your own training code, which is only "
    "read.",
    "exercise": "List small migration tasks, write the starting file of one, or check "
    "an answer.",
    "case": "Run a public case in which the two frameworks gave different results.",
    "prepare": "Find, check and decode the images, and fetch the weights.",
    "train": "Train, evaluate and export each arm, without timing.",
    "export": "Export a checkpoint of either side to ONNX.",
    "convert": "Convert a trained checkpoint of one side for the other side.",
    "predict": "Classify images with an exported file, without any framework.",
    "explore": "Look at the images and, with --run, at what a run learned from them.",
    "report": "Write the report of a stored results.json again.",
    "doctor": "Check that this machine has what the benchmark needs.",
}
STATUS = (
    "Exit status: 0 success, 1 a check failed, 2 the input is invalid, 3 an arm could "
    "not run, 130 interrupted."
)


def main() -> int:
    """Run the command that the first argument names, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", epilog=STATUS)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        commands.add_parser(name, help=summary, add_help=False)
    parser.parse_args(sys.argv[1:2])
    from bench.cli import execute

    return execute(sys.argv[1], sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
