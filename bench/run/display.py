"""Show the progress of a run: bars on a terminal, else plain lines."""

import json
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from shared.clock import now

STAGES = {
    "import": "loading the framework",
    "build": "building the model",
    "features": "computing features",
    "epochs": "training",
    "evaluate": "evaluating on the test split",
    "export": "exporting to ONNX",
    "steps": "timing steps",
    "convert": "converting and checking",
    "augment": "augmenting an image",
    "guess": "guessing ImageNet's classes",
    "predict": "predicting all images",
    "cam": "drawing Grad-CAM maps",
    "rungs": "computing the arrays of the rungs",
}


class Display:
    """Display of one task at a time, which can also log all events to a file."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._log: Path | None = None
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=None, visible=False)
        self._line = ""
        self._stages: dict[str, str] = {}  # by arm; arms may work at the same time
        self._start = now()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def log_to(self, path: Path) -> None:
        """Append every further event to a file."""
        self._log = path

    def say(self, text: str, style: str = "") -> None:
        """Print a line of text above the progress bar, without interpreting markup."""
        self._progress.update(self._task, visible=False)
        stamp = Text(f"{now() - self._start:6.1f} s  ", "dim")
        self.console.print(stamp + Text(text, style))

    def wait(self, description: str) -> None:
        """Show on a terminal what the program waits for; a log needs no line."""
        if self.console.is_terminal:
            self.show(description)

    def show(self, description: str, done: int = 0, total: int = 0) -> None:
        """Show how far the present work is; a `total` of 0 means that it is unknown."""
        if not self.console.is_terminal:
            if description != self._line:
                self.say(description)
        else:
            self._progress.update(
                self._task,
                description=description,
                completed=done,
                total=total or None,
                visible=True,
            )
        self._line = description

    def on_event(self, arm: str, event: dict) -> None:
        """Show and log one event of a worker."""
        self.log({"arm": arm, **event})
        kind = event["event"]
        if kind == "stage":
            self._stages[arm] = STAGES.get(event["name"], event["name"])
            self.show(f"{arm}: {self._stages[arm]}")
        elif kind == "progress":
            self.show(f"{arm}: {self._stages[arm]}", event["done"], event["total"])
        elif kind == "epoch":
            self.say(
                f"{arm}: epoch {event['epoch']}  accuracy "
                f"{event['train_accuracy']:.3f} train, "
                f"{event['validation_accuracy']:.3f} validation"
            )

    def log(self, event: dict) -> None:
        """Append one line to the log, if there is one."""
        if self._log:
            with self._log.open("a") as file:
                line = {"seconds": round(now() - self._start, 3), **event}
                file.write(json.dumps(line) + "\n")
