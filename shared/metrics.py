"""Loss and scores, computed once for both sides: per sample, over all samples."""

from collections.abc import Callable

import numpy as np
from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Base of all records: unknown names fail, NaN never passes silently."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class EpochRecord(Record):
    epoch: int  # counted from 1
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


class ClassScore(Record):
    precision: float
    recall: float
    f1: float
    images: int


class Mistake(Record):
    """A test image that the arm is most sure about, and wrong."""

    file: str
    label: str
    predicted: str
    probability: float
    thumbnail_jpeg: str  # base64


class ScoreRecord(Record):
    images: int
    accuracy: float
    loss: float
    macro_f1: float
    per_class: dict[str, ClassScore]
    confusion: list[list[int]]  # [label][prediction]
    predictions: list[int]
    mistakes: list[Mistake] = []


# float32 keeps seven digits; 52 convolutions and a training deep, some are spent.
ROUNDING_OF_LOGITS = 1e-4


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities (N, classes) float64 of logits (N, classes)."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over samples of -log p(label), natural logarithm, float64.

    [D10] A mean over samples, not a mean of batch means: the last, smaller batch
    would weigh too much.
    """
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(shifted).sum(axis=1))
    return float(np.mean(log_sums - shifted[np.arange(len(labels)), labels]))


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of samples whose largest logit is the label's.

    Where logits tie, the first one counts.
    """
    return float(np.mean(logits.argmax(axis=1) == labels))


def score_epoch(
    epoch: int,
    train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    seconds: float,
) -> EpochRecord:
    """Return loss and accuracy of an epoch from (logits, labels) of both splits.

    Args:
        epoch: counted from 1.
        train: each logit as it was when its batch was trained on.
    """
    return EpochRecord(
        epoch=epoch,
        train_loss=cross_entropy(*train),
        train_accuracy=accuracy(*train),
        validation_loss=cross_entropy(*validation),
        validation_accuracy=accuracy(*validation),
        seconds=seconds,
    )


def confusion_matrix(
    labels: np.ndarray, predictions: np.ndarray, num_classes: int
) -> np.ndarray:
    """Return counts (classes, classes) int64; rows are labels, columns predictions."""
    cells = labels * num_classes + predictions
    return np.bincount(cells, minlength=num_classes**2).reshape(
        num_classes, num_classes
    )


def score(logits: np.ndarray, labels: np.ndarray, classes: list[str]) -> ScoreRecord:
    """Return every score of one split; `logits` (N, classes), `labels` (N,)."""
    predictions = logits.argmax(axis=1)
    confusion = confusion_matrix(labels, predictions, len(classes))
    hits = np.diag(confusion)
    with np.errstate(invalid="ignore"):  # 0 / 0 for a class never seen or predicted
        precision = np.nan_to_num(hits / confusion.sum(axis=0))
        recall = np.nan_to_num(hits / confusion.sum(axis=1))
        f1 = np.nan_to_num(2 * precision * recall / (precision + recall))
    return ScoreRecord(
        images=len(labels),
        accuracy=accuracy(logits, labels),
        loss=cross_entropy(logits, labels),
        macro_f1=float(f1.mean()),
        per_class={
            name: ClassScore(
                precision=precision[i],
                recall=recall[i],
                f1=f1[i],
                images=int(confusion[i].sum()),
            )
            for i, name in enumerate(classes)
        },
        confusion=confusion.tolist(),
        predictions=predictions.tolist(),
    )


def max_scaled_diff(
    values: np.ndarray, reference: np.ndarray, least_scale: float = 0.0
) -> float:
    """Return max |values - reference| / max |reference|, in float64.

    Args:
        least_scale: the divisor where the reference is smaller than this.

    Raises:
        ValueError: shapes differ, a value is not finite, nothing to compare, or the
            divisor is zero; such a comparison could not fail.
    """
    if values.shape != reference.shape:
        raise ValueError(f"shapes differ: {values.shape} and {reference.shape}")
    scale = max(np.abs(reference).max(initial=0.0), least_scale)
    if reference.size == 0 or not scale > 0:
        raise ValueError("the reference is empty or all zero: nothing is compared")
    if not (np.isfinite(values).all() and np.isfinite(reference).all()):
        raise ValueError("NaN or infinity among the values to compare")
    difference = np.abs(values.astype(np.float64) - reference.astype(np.float64))
    return float(difference.max() / scale)


def relative_distance(values: np.ndarray, reference: np.ndarray) -> float:
    """||values - reference|| / ||reference||, Euclidean norms of whole arrays, float64.

    Where single elements may differ by much although the arrays agree.

    Raises:
        ValueError: the reference is empty or all zero; nothing is compared.
    """
    if not np.any(reference):
        raise ValueError("the reference is empty or all zero: nothing is compared")
    difference = values.astype(np.float64) - reference.astype(np.float64)
    return float(
        np.linalg.norm(difference) / np.linalg.norm(reference.astype(np.float64))
    )


def comparable(
    measure: Callable[[np.ndarray, np.ndarray], float],
    values: np.ndarray | None,
    reference: np.ndarray | None,
) -> float:
    """Return a measure of two arrays; infinite if they cannot be compared.

    Because one is missing, the shapes differ, a value is not finite, or `measure` finds
    nothing to compare.
    """
    if values is None or reference is None or values.shape != reference.shape:
        return np.inf
    if not (np.isfinite(values).all() and np.isfinite(reference).all()):
        return np.inf
    try:
        return measure(values, reference)
    except ValueError:
        return np.inf


def top1_agreement(logits: np.ndarray, reference: np.ndarray) -> float:
    """Return the share of samples for which both name the same class."""
    return float(np.mean(logits.argmax(axis=1) == reference.argmax(axis=1)))


def near_tie(logits: np.ndarray) -> np.ndarray:
    """Return which images' two largest logits are so close that rounding can swap them.

    Closer than what two equal networks may differ by, ROUNDING_OF_LOGITS of the largest
    logit.

    Args:
        logits: (N, classes).

    Returns:
        (N,) bool.
    """
    second, first = np.sort(logits, axis=1)[:, -2:].T
    return first - second <= ROUNDING_OF_LOGITS * np.abs(logits).max()
