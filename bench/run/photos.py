"""Choose the few test images that a report shows with the answers of all arms."""

import numpy as np

from bench.records import Answer, Photo
from bench.run.state import Run
from shared.data.images import encode_thumbnail
from shared.metrics import softmax

NUM_SPREAD = 8  # images spread over the classes
NUM_DIFFERING = 4  # further images, on which the arms differ
THUMBNAIL_PX = 128


def make_photos(run: Run) -> list[Photo]:
    """Return the chosen test images, or none if no arm has been tested yet."""
    test, classes = run.data.splits["test"], run.data.classes
    predictions = {n: arm.test.predictions for n, arm in run.arms.items() if arm.test}
    if not predictions:
        return []
    probabilities = {
        name: softmax(np.load(run.scratch / name / "test_logits.npy"))
        for name in predictions
    }

    def answer(arm: str, image: int) -> Answer:
        predicted = predictions[arm][image]
        return Answer(
            predicted=classes[predicted],
            probability=float(probabilities[arm][image, predicted]),
        )

    return [
        Photo(
            file=test.files[image],
            label=classes[test.labels[image]],
            thumbnail_jpeg=encode_thumbnail(test.images[image], THUMBNAIL_PX),
            answers={arm: answer(arm, image) for arm in predictions},
        )
        for image in choose_images(test.labels, np.array(list(predictions.values())))
    ]


def choose_images(labels: np.ndarray, predictions: np.ndarray) -> list[int]:
    """Choose images by their class and by the arms' answers, without randomness.

    Args:
        labels: labels of the test images, (N,).
        predictions: predictions of every arm for these images, (arms, N).

    Returns:
        Indices of the chosen images. The first part has one image of each class, in the
        order of the classes; with many classes some are skipped, and with few classes
        each has several images. The second part has images on which the arms differ.
    """
    rank = np.zeros_like(labels)  # place of each image within its class
    for label in np.unique(labels):
        rank[labels == label] = np.arange(np.sum(labels == label))
    in_turns = np.lexsort((labels, rank))  # first images of all classes, then second
    num_first = max(NUM_SPREAD, np.sum(rank == 0))
    spread = _spread(in_turns[:num_first], NUM_SPREAD)
    spread = spread[np.argsort(labels[spread], kind="stable")]
    differing = np.flatnonzero((predictions != predictions[0]).any(axis=0))
    chosen = [*spread, *_spread(differing, NUM_DIFFERING)]
    return [int(image) for image in dict.fromkeys(chosen)]


def _spread(images: np.ndarray, count: int) -> np.ndarray:
    """Return at most `count` of the images, with equal distances between them."""
    if len(images) <= count:
        return images
    return images[np.linspace(0, len(images) - 1, count).round().astype(int)]
