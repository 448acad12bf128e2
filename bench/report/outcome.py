"""What the arms learned: accuracy, curves, confusion, classes, mistakes."""

from shared.records import Mistake, Results, ScoreRecord

from bench.report import plots
from bench.report.blocks import Block, Bullets, Gallery, Picture, Row, Table, Text
from bench.report.numbers import fixed, percent, wilson_interval
from bench.report.words import accuracy_verdict, difference, shown_by, tested_arms

MOST_PICTURES = 12  # an arm; more would be scrolled past


def findings(results: Results) -> list[Block]:
    return [Bullets(shown_by(results))]


def accuracy(results: Results) -> list[Block]:
    rows = [
        _score_row(name, split, score)
        for name, arm in results.arms.items()
        for split, score in (("validation", arm.validation), ("test", arm.test))
        if score
    ]
    if not rows:
        return []
    header = ["Arm", "Images of", "n", "Accuracy", "95% interval", "Macro F1", "Loss"]
    blocks: list[Block] = [Table("", "llrrrrr", header, rows)]
    if found := results.comparison:
        blocks.append(Text(f"{difference(found)} Verdict: {accuracy_verdict(found)}."))
    return blocks


def _score_row(name: str, split: str, score: ScoreRecord) -> list[str]:
    low, high = wilson_interval(score.accuracy, score.images)
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
    return [
        Row([plots.learning_curves(results, m) for m in ("accuracy", "loss")]),
        Table("", "lrrrrrr", EPOCH_HEADER, _epoch_rows(results)),
    ]


EPOCH_HEADER = [
    "Arm",
    "Best epoch",
    "of",
    "Train accuracy",
    "Validation accuracy",
    "Train loss",
    "Validation loss",
]


def _epoch_rows(results: Results) -> list[list[str]]:
    """The best epoch of each arm, or its last where none is marked."""
    rows = []
    for name, arm in results.arms.items():
        if not arm.history:
            continue
        marked = [e for e in arm.history if e.epoch == arm.best_epoch]
        epoch = (marked or arm.history)[-1]
        shares = map(percent, (epoch.train_accuracy, epoch.validation_accuracy))
        losses = map(fixed, (epoch.train_loss, epoch.validation_loss))
        counts = [str(epoch.epoch), str(len(arm.history))]
        rows.append([name, *counts, *shares, *losses])
    return rows


def confusions(results: Results) -> list[Block]:
    matrices = [plots.confusion(results, name) for name in tested_arms(results)]
    return [Row(matrices)] if matrices else []


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
    fewest = min(rows, key=lambda row: int(row[1]))
    note = Text(
        "Small classes move by large steps: one image more or less is "
        f"{percent(1 / max(int(fewest[1]), 1))} of the recall of {fewest[0]}."
    )
    return [note, Row([plots.class_scores(results), table])]


def mistakes(results: Results) -> list[Block]:
    galleries = [
        Gallery(name, [_picture(one) for one in score.mistakes[:MOST_PICTURES]])
        for name, score in tested_arms(results).items()
        if score.mistakes
    ]
    if not galleries:
        return []
    lead = "Wrong answers on test images, the most confident first: label → prediction."
    return [Text(lead), *galleries]


def _picture(mistake: Mistake) -> Picture:
    return Picture(
        mistake.thumbnail_jpeg,
        mistake.file,
        mistake.label,
        mistake.predicted,
        percent(mistake.probability),
    )
