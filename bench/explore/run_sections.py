"""The sections on a finished run: the highest losses, and Grad-CAM maps."""

from itertools import groupby

import numpy as np

from bench.explore.data_sections import NAMES
from bench.explore.findings import Findings, RunFindings
from bench.explore.losses import NUM_WORST, Candidate
from bench.explore.pictures import make_grid, overlay
from bench.report.blocks import Block, Code, Fold, Gallery, Picture, Text
from bench.report.figures import clip
from bench.report.numbers import percent, tiny
from bench.report.words import tested_arms
from shared.data.dataset import ImageData
from shared.data.images import encode_thumbnail
from shared.metrics import max_scaled_diff, softmax

THUMBNAIL_PX = 150
MAP_PX = 170


def summarise(run: RunFindings) -> str:
    """Return the accuracies of the run's arms in one sentence."""
    scores = tested_arms(run.results).items()
    each = ", ".join(f"{arm} {percent(score.accuracy)}" for arm, score in scores)
    return f"Accuracy of the run on the test images: {each}."


def highest_losses(found: Findings) -> list[Block]:
    """Return the images that the classifiers find hardest to believe, by class."""
    lead = (
        f"For each class, these are the {NUM_WORST} training and the {NUM_WORST} "
        "validation images whose label gets the lowest probability, as the arms give "
        "it on average. Such an image may have the wrong label, or be of no use. It "
        "may also be only unusual: decide by looking at it. A high loss of a training "
        "image means more, since the classifier has seen this label."
    )
    how = (
        "relabel.csv beside this page lists these images, in the lines that are named "
        "here. Write delete or move into the column action, and for move the right "
        "class into the column new_class. "
        "You may add lines for other images. This command carries the decisions out on "
        "a copy of the data set, and changes nothing in the data set itself:"
    )
    folds: list[Block] = []
    lines = enumerate(found.run.candidates, 2)  # line 1 of the table is its header
    for label, group in groupby(lines, key=lambda numbered: numbered[1].label):
        pictures = [_candidate(found.data, one, line) for line, one in group]
        other = sum(picture.title != f"prediction: {label}" for picture in pictures)
        summary = f"{label}: {other} of these {len(pictures)} images get another class"
        folds.append(Fold(summary, [Gallery(pictures, width_rem=9)], is_open=True))
    return [Text(lead), *folds, Text(how), Code(found.run.command)]


def _candidate(data: ImageData, one: Candidate, line: int) -> Picture:
    """Return an image with its loss, and its line in relabel.csv."""
    image = data.splits[one.split].images[one.index]
    name = clip(one.file.split("/", 1)[1])
    return Picture(
        encode_thumbnail(image, THUMBNAIL_PX),
        f"prediction: {one.predicted}",
        [f"{one.split}, loss {one.loss:.2f}", f"line {line}: {name}"],
    )


def explanations(found: Findings) -> list[Block]:
    """Return the Grad-CAM maps of both frameworks for the same images."""
    run = found.run
    if not run.maps:
        return []
    arms = " and ".join(NAMES[arm] for arm in run.maps)
    lead = (
        "Each picture shows a test image, and then the same image under the map of "
        f"{arms}. Red places speak for the class, and blue places do not. Grad-CAM "
        "(Selvaraju et al., 2017) weights the channels of the last convolution by "
        "their gradients. Its map has few places, and is enlarged here. The class is "
        "what the first arm predicts."
    )
    blocks: list[Block] = [Text(lead)]
    if len(run.maps) == 2:
        blocks.append(Text(_compare(*run.maps.values())))
    pictures = [_explained(found, number) for number in range(len(run.explained))]
    return [*blocks, Gallery(pictures, width_rem=30)]


def _compare(first: np.ndarray, second: np.ndarray) -> str:
    return (
        "The largest difference between the maps of the two is "
        f"{tiny(max_scaled_diff(second, first))} of the largest value."
    )


def _explained(found: Findings, number: int) -> Picture:
    run, split = found.run, found.data.splits["test"]
    place = run.explained[number]
    image, predicted = split.images[place], found.data.classes[run.classes[number]]
    heats = [maps[number] for maps in run.maps.values()]
    largest = float(max(heat.max() for heat in heats))
    tiles = [image, *(overlay(image, heat, largest) for heat in heats)]
    label = split.files[place].split("/")[0]
    shares = [
        f"{NAMES[arm]} {percent(float(_share(run, arm, place, run.classes[number])))}"
        for arm in run.maps
    ]
    title = f"evidence for {predicted}" + (
        "" if predicted == label else f", the label is {label}"
    )
    lines = [f"Probability of {predicted}: {', '.join(shares)}", split.files[place]]
    return Picture(make_grid({"": tiles}, MAP_PX, names=False), title, lines)


def _share(run: RunFindings, arm: str, image: int, label: int) -> float:
    return softmax(run.logits[arm]["test"][image : image + 1])[0, label]
