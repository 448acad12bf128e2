"""What an experiment is: a question, and the settings that answer it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Setting:
    """What a setting changes.

    Attributes:
        changes: fields of the configuration.
        share: share of the training images of each class.
        arm: the one arm that trains it; None for all of them.
        against: name of the setting that it is compared with; None for the first one.
    """

    changes: Mapping[str, Any] = field(default_factory=dict)
    share: float = 1.0
    arm: str | None = None
    against: str | None = None


@dataclass(frozen=True)
class Experiment:
    """One question, and the settings that answer it.

    The figure that answers it is the test accuracy of the epoch with the highest
    validation accuracy.

    Attributes:
        settings: by name; the first one is the base of all comparisons.
        field: field of the configuration whose values --values gives.
        epochs: passes over the training images.
        seeds: number of seeds.
    """

    question: str
    settings: Mapping[str, Setting]
    field: str | None = None
    epochs: int = 10
    seeds: int = 5
