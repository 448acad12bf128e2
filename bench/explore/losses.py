"""The images whose labels the classifiers of a run find hardest to believe."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from shared.data.dataset import ImageData
from shared.metrics import softmax

NUM_WORST = 6  # images of each class and split
JUDGED_SPLITS = ("train", "validation")  # their images can be labelled anew

Probabilities = dict[str, np.ndarray]  # (N, classes) of each split


@dataclass(frozen=True)
class Candidate:
    """An image that may have the wrong label.

    Attributes:
        index: its place in the split.
        loss: -log of the probability of its label, as the arms give it on average.
    """

    split: str
    index: int
    file: str  # 'class/name.jpg'
    label: str
    predicted: str
    loss: float


def mean_probabilities(logits: Mapping[str, Mapping[str, np.ndarray]]) -> Probabilities:
    """Return the mean of all arms' probabilities, by split.

    Args:
        logits: (N, classes) by arm and split.
    """
    arms = list(logits.values())
    return {
        split: np.mean([softmax(arm[split]) for arm in arms], axis=0)
        for split in arms[0]
    }


def find_candidates(data: ImageData, probabilities: Probabilities) -> list[Candidate]:
    """Return the images with the highest loss of each class, by class and split."""
    found = []
    for label, name in enumerate(data.classes):
        for split in JUDGED_SPLITS:
            labels = data.splits[split].labels
            of_label = np.clip(probabilities[split][:, label], 1e-300, None)
            losses = np.where(labels == label, -np.log(of_label), -np.inf)
            order = np.argsort(-losses, kind="stable")
            for index in order[: min(NUM_WORST, int(np.sum(labels == label)))]:
                predicted = data.classes[int(probabilities[split][index].argmax())]
                found.append(
                    Candidate(
                        split=split,
                        index=int(index),
                        file=data.splits[split].files[index],
                        label=name,
                        predicted=predicted,
                        loss=float(losses[index]),
                    )
                )
    return found
