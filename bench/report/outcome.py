"""Sections on what the arms learned, from learning curves to mistakes."""

from operator import itemgetter

import numpy as np

from bench.judging.intervals import accuracy_interval
from bench.records import Answer, Photo, Results
from bench.report import plots
from bench.report.blocks import Block, Bullets, Entries, Fold, Row, Strip, Table, Text
from bench.report.division import differences, is_plain
from bench.report.figures import arm_styles
from bench.report.numbers import DASH, fixed, percent
from bench.report.titles import read_entry
from bench.report.words import difference, shown_by, tested_arms
from shared.metrics import Mistake, ScoreRecord

MOST_CONFUSIONS = 8


def findings(results: Results) -> list[Block]:
    blocks: list[Block] = [Bullets(shown_by(results))]
    if is_plain(results):
        lead = (
            "These are the differences between the two programs. Each of them has an "
            "entry in docs/differences.md:"
        )
        entries = {title: read_entry(title) for title in differences(results)}
        blocks += [Text(lead), Entries(entries)]
    return blocks


def accuracy(results: Results) -> list[Block]:
    rows = [
        _score_row(name, split, score)
        for name, arm in results.arms.items()
        for split, score in (("validation", arm.validation), ("test", arm.test))
        if score
    ]
    if not rows:
        return []
    header = ["Arm", "Split", "Images", "Accuracy", "95% interval", "Macro F1", "Loss"]
    blocks: list[Block] = [Table("", "llrrrrr", header, rows)]
    if found := results.comparison:
        blocks.append(Text(f"{difference(found)} Verdict: {found.verdict}."))
    return blocks


def _score_row(name: str, split: str, score: ScoreRecord) -> list[str]:
    low, high = accuracy_interval(score.accuracy, score.images)
    return [
        name,
        split,
        str(score.images),
        percent(score.accuracy),
        f"{percent(low)} to {percent(high)}",
        fixed(score.macro_f1),
        fixed(score.loss),
    ]


def curves(results: Results) -> list[Block]:
    if not any(arm.history for arm in results.arms.values()):
        return []
    best = ", ".join(
        f"{name} {arm.best_epoch} of {len(arm.history)}"
        for name, arm in results.arms.items()
        if arm.best_epoch
    )
    table = Table("", "lrrrrrl", EPOCH_HEADER, _epoch_rows(results))
    return [
        Row([plots.learning_curves(results, m) for m in ("accuracy", "loss")]),
        Fold(f"Best epoch: {best or 'no epoch is marked as the best'}", [table]),
    ]


EPOCH_HEADER = [
    "Arm",
    "Best epoch",
    "Train accuracy",
    "Validation accuracy",
    "Train loss",
    "Validation loss",
    "Checkpoint",
]


def _epoch_rows(results: Results) -> list[list[str]]:
    """Return the best epoch of each arm, or its last if no epoch is marked as best."""
    rows = []
    for name, arm in results.arms.items():
        if not arm.history:
            continue
        marked = [e for e in arm.history if e.epoch == arm.best_epoch]
        epoch = (marked or arm.history)[-1]
        shares = map(percent, (epoch.train_accuracy, epoch.validation_accuracy))
        losses = map(fixed, (epoch.train_loss, epoch.validation_loss))
        counted = f"{epoch.epoch} of {len(arm.history)}"
        rows.append([name, counted, *shares, *losses, arm.checkpoint or DASH])
    return rows


def confusions(results: Results) -> list[Block]:
    scores = tested_arms(results)
    if not scores:
        return []
    matrices = [plots.confusion(results, name) for name in scores]
    rows = _frequent_confusions(scores, results.data.classes)
    header = ["Label", "Prediction", *scores]
    table = Table(
        "Most frequent confusions, in images", "ll" + "r" * len(scores), header, rows
    )
    return [Row(matrices), table] if rows else [Row(matrices)]


def _frequent_confusions(
    scores: dict[str, ScoreRecord], classes: list[str]
) -> list[list[str]]:
    """Return the pairs of classes that all arms together confuse most often."""
    counts = np.array([score.confusion for score in scores.values()])
    totals = counts.sum(axis=0)
    np.fill_diagonal(totals, 0)
    worst = np.argsort(-totals, axis=None, kind="stable")[:MOST_CONFUSIONS]
    pairs = [np.unravel_index(place, totals.shape) for place in worst]
    return [
        [classes[label], classes[guess], *map(str, counts[:, label, guess])]
        for label, guess in pairs
        if totals[label, guess]
    ]


def classes(results: Results) -> list[Block]:
    scores = tested_arms(results)
    if not scores:
        return []
    rows = []
    for label in results.data.classes:
        found = [score.per_class[label] for score in scores.values()]
        rows.append([label, str(found[0].images), *(fixed(one.f1) for one in found)])
    header = ["Class", "Test images", *(f"F1 {name}" for name in scores)]
    table = Table("", "lr" + "r" * len(scores), header, rows)
    smallest, images = min(((row[0], int(row[1])) for row in rows), key=itemgetter(1))
    note = Text(
        "The recall of a small class changes in large steps: "
        f"“{smallest}” has {images} test images, so a single image is worth "
        f"{100 / max(images, 1):.1f} points of its recall."
    )
    return [note, table]


def photos(results: Results) -> list[Block]:
    """Return some test images with all answers; images in dispute come last."""
    if not results.photos:
        return []
    styles = arm_styles(results.arms)
    answered = results.photos[0].answers
    lead = (
        "A few test images with their labels, and the prediction of each arm with its "
        "probability. A fixed rule chooses images of several classes, and adds images "
        "on which the arms differ, if there are any."
    )
    if disputed := sum(photo.is_disputed for photo in results.photos):
        lead += f" The arms differ on {disputed} of them."
    arms = {name: styles[name].color for name in answered}
    return [Text(lead), Strip(arms, results.photos)]


def mistakes(results: Results) -> list[Block]:
    styles = arm_styles(results.arms)
    strips = [
        Strip({name: styles[name].color}, [_photo(name, one) for one in score.mistakes])
        for name, score in tested_arms(results).items()
        if score.mistakes
    ]
    lead = "Wrong answers on test images; the most confident come first."
    return [Text(lead), *strips] if strips else []


def _photo(arm: str, mistake: Mistake) -> Photo:
    """Return a mistake as a photo with one answer."""
    answer = Answer(predicted=mistake.predicted, probability=mistake.probability)
    return Photo(
        file=mistake.file,
        label=mistake.label,
        thumbnail_jpeg=mistake.thumbnail_jpeg,
        answers={arm: answer},
    )
