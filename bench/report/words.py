"""Turn the result record into sentences."""

from bench.judging.intervals import NO_DIFFERENCE, TOO_NOISY
from bench.records import (
    ArmRecord,
    ComparisonRecord,
    ExperimentsRecord,
    LedgerRecord,
    Results,
    SpeedupsRecord,
    TimingComparison,
)
from bench.report.division import BANNER, by_design, is_plain
from bench.report.numbers import (
    fixed,
    interval_name,
    p_value,
    percent,
    points,
    short,
    tiny,
)
from shared.metrics import ScoreRecord

PHASES = {
    "import": "loading the framework's Python package and setting up its device",
    "start": "starting Python and this program's own modules",
    "weights": "reading the weights file, and assigning every array of the model",
    "build": "making the model, first values included",
    "first_step": "the first training step, which also traces, compiles and allocates",
    "train_step": "one training step as this run takes it on each batch. If the "
    "features of the frozen backbone are computed once, the step is forward and "
    "backward through the head, and the update. Otherwise it is an image_step",
    "image_step": "one training step on a batch of images: forward through the frozen "
    "backbone, with its batch norm, and the head, backward through the head, update",
    "forward": "one forward pass of the same batch in inference mode",
    "evaluation": "computing the logits of all validation images, loading included",
    "input_pipeline": "loading all training images once, without a training step",
    "epoch": "a training epoch on images: loading, steps, validation",
    "checkpoint": "writing a checkpoint with the optimizer's state",
    "export": "exporting to ONNX, for the first time in the process",
    "onnx_session": "opening the exported graph with onnxruntime, on the CPU",
    "onnx_batch_1": "onnxruntime on the CPU, on one image",
    "onnx_batch_32": "onnxruntime on the CPU, on a batch of images",
}
STEADY_PHASES = (
    "train_step",
    "image_step",
    "forward",
    "evaluation",
    "input_pipeline",
    "epoch",
    "checkpoint",
    "onnx_batch_1",
    "onnx_batch_32",
)
HEADLINES = ("train_step", "image_step", "forward", "epoch")

GLOSSARY = {
    "Macro F1": "F1 is the harmonic mean of precision and recall of one class; macro "
    "F1 is its mean over the classes, so a rare class counts as much as a "
    "common one.",
    "Interval": "the range of values that are compatible with the measurement. Its "
    "confidence is 95% unless another confidence is named. The interval of an accuracy "
    "is Wilson's. For the difference of two accuracies, only those images count that "
    "exactly one of the two arms gets right. Their number is taken as given. The "
    "interval is Clopper and Pearson's exact interval for the first arm's share of "
    "them, turned into a difference of accuracies; without such images it is 0 to 0. "
    "The interval of a ratio of times is Student's t interval of its logarithm over "
    "the rounds. Each round counts with the median ratio of the samples that both arms "
    "took in it. For accuracies over seeds, the interval is Student's t interval over "
    "the seeds. No other interval covers other seeds.",
    "Shown": "a difference is shown if its interval excludes 0, and a ratio is shown "
    "if its interval excludes 1. This is the case exactly if the p value of the same "
    "test is below 0.05.",
    "Judged together": "in a table with several differences, some of them would be "
    "shown by chance. Holm's correction therefore makes their p values larger and "
    "their intervals wider. If nothing differs, no difference is shown in at least "
    "nineteen of twenty tables. An interval can then have more than 95% confidence, "
    "which depends on the level at which Holm's procedure judges its difference. The "
    "accuracy differences between the first arm and the other arms are also judged "
    "together.",
    "McNemar p": "considers the test images that one arm gets right and the other "
    "wrong. It is the probability of a split between the arms that is at least as "
    "uneven as the observed one, if both arms were equally good.",
    "Median and IQR": "the middle sample, and the width of the middle half of the "
    "samples (interquartile range). A few slow outliers change neither of them.",
    "max_abs_diff": "the largest difference between two logits that should be equal.",
    "max_scaled_diff": "max |a - b| / max |reference| over all logits. Rounding of "
    "32-bit numbers alone gives about 1e-6 to 1e-5.",
    "Top-1 agreement": "the share of images that get the same predicted class.",
    "Logit spread": "the standard deviation of the logits. If it were near 0, any "
    "comparison of logits would pass.",
}


def title(results: Results) -> str:
    if not results.arms and results.ledger:
        return f"Differences between PyTorch and Keras on {results.data.name}"
    if not results.arms and results.experiments:
        names = ", ".join(results.experiments.experiments)
        return f"Experiments on {results.data.name}: {names}"
    if not results.arms and results.speedups:
        return f"The gain of each speed-up, {', '.join(results.speedups.arms)}"
    if not results.arms and results.scaling:
        return f"More images, {', '.join(results.scaling.by_arm)}: {results.data.name}"
    if not results.arms and results.timing:
        return f"Each arm timed against itself on {results.data.name}"
    if not results.arms and results.parity:
        return f"Parity of PyTorch and Keras on {results.data.name}"
    *others, last = results.arms or ["no arm"]
    arms = f"{', '.join(others)} and {last}" if others else last
    division = ", plain division" if is_plain(results) else ""
    return f"{arms} on {results.data.name}{division}"


def banners(results: Results) -> list[str]:
    """Return the warnings that a reader needs before the first figure."""
    found = [BANNER] if is_plain(results) else []
    if results.data.source == "synthetic":
        reason = ", since they could not be downloaded" if results.data.notice else ""
        found.append(
            f"Drawn images, not photos{reason}. The accuracy figures say nothing about "
            "real clothes."
        )
    if results.weights.source == "random":
        found.append(
            "Random weights: the backbone was never trained. The accuracy figures say "
            "nothing about what a pretrained model reaches."
        )
    found += results.data.warnings
    if results.weights.notice:
        found.append(results.weights.notice)
    if results.status == "partial":
        found.append("Partial run: it ended before everything was done.")
    return found


def missing(results: Results) -> list[str]:
    """Return everything that was asked for and has no result, with its reason."""
    arms = [
        f"{name} {a.status}" for name, a in results.arms.items() if a.status != "ok"
    ]
    return arms + results.not_run


def tested_arms(results: Results) -> dict[str, ScoreRecord]:
    return {name: arm.test for name, arm in results.arms.items() if arm.test}


def time_ratios(results: Results) -> dict[tuple[str, str], dict]:
    """Return the ratios of the first arm's times to each other arm's, by phase."""
    finished = [name for name, arm in results.arms.items() if arm.status == "ok"]
    ratios = results.timing.ratios if results.timing else {}
    others = [name for name in finished[1:] if name in ratios]
    return {(finished[0], other): ratios[other] for other in others}


def difference(comparison: ComparisonRecord) -> str:
    """Describe the difference in test accuracy with its uncertainty, but no verdict."""
    first, second = comparison.arms
    low, high = map(points, comparison.test_accuracy_interval)
    return (
        f"Test accuracy, {first} minus {second}: "
        f"{points(comparison.test_accuracy_difference)} points "
        f"({interval_name(comparison.test_accuracy_confidence)} {low} to {high}, "
        f"McNemar p {p_value(comparison.mcnemar_p)})."
    )


def shown_by(results: Results) -> list[str]:
    """Return the findings of the run, each in one or two sentences."""
    found = by_design(results)
    scores = tested_arms(results)
    if results.arms and (scores or not results.timing):
        found.append(_accuracies(scores))
    if results.parity:
        found.append(ladder_result(results))
    if results.ledger:
        found.append(_ledger(results.ledger))
    if results.speedups:
        found += _speedups(results.speedups)
    if results.experiments:
        found.append(_experiments(results.experiments))
    if results.comparison:
        found += [
            f"{difference(results.comparison)} {_judgement(results.comparison)}",
            f"The two predict the same class for "
            f"{percent(results.comparison.top1_agreement)} of the test images.",
        ]
    found += [f"{difference(one)} {_judgement(one)}" for one in results.further]
    for names, ratios in time_ratios(results).items():
        found += [_timing(p, ratios[p], names) for p in HEADLINES if p in ratios]
    found += [_exports(results.arms), checks_summary(results)]
    if absent := missing(results):
        found.append(f"Parts that were not run: {len(absent)}, with reasons below.")
    return [sentence for sentence in found if sentence]


def ladder_result(results: Results) -> str:
    """Return the result of the parity ladder in one or two sentences."""
    parity, config = results.parity, results.config
    failed = parity.first_failed
    if failed:
        return f"The parity ladder fails first at “{failed.name}” ({failed.compares})."
    said = (
        f"All {len(parity.judged)} rungs of the parity ladder hold, from "
        f"{parity.rungs[0].name} to {parity.rungs[-1].name}."
    )
    if without := len(parity.rungs) - len(parity.judged):
        said += (
            f" {without} more rungs need float64, which this Keras backend does not "
            "support."
        )
    usual = {
        "augment": False,
        "cache_features": True,
        "precision": "float32",
        "fine_tuning": "off",
    }
    others = [name for name, value in usual.items() if config.get(name, value) != value]
    if others:
        said += (
            " The ladder trains a head on features and without augmentation, whatever "
            f"this run has for {', '.join(others)}."
        )
    return said


def _ledger(ledger: LedgerRecord) -> str:
    ablated = {n: r.ablation for n, r in ledger.differences.items() if r.ablation}
    shown = [number for number, one in ablated.items() if one.verdict == "shown"]
    return (
        f"{len(ledger.differences)} differences were measured. {len(ablated)} of them "
        "were left in, one at a time. A change of test accuracy is shown for "
        f"{', '.join(shown) or 'none of them'}."
    )


def _experiments(record: ExperimentsRecord) -> str:
    """Describe how the experiments were run."""
    finished = sum(cell.status == "ok" for cell in record.cells)
    equal = record.pairs - len(record.differing)
    said = (
        f"{finished} trainings are finished. {record.pairs} pairs of them are the same "
        "training on both arms, on the same stored features and in float64, as a check "
        f"that the two programs are equal. In {equal} pairs, both predict the same "
        "class for every test image whose two best classes do not tie."
    )
    if growing := sum(one.by_rounding for one in record.differing):
        said += (
            f" In {growing} pairs the training makes rounding errors grow: both arms "
            "agree in the first epoch, and part step by step until they predict "
            "different classes."
        )
    return said


def _speedups(speedups: SpeedupsRecord) -> list[str]:
    """Compare the first and the shortest whole training of each arm."""
    found = []
    for arm, rungs in speedups.arms.items():
        if len(rungs) > 1:
            first, last = rungs[0], speedups.shortest(arm)
            found.append(
                f"{arm}: {speedups.epochs} epochs take {fixed(first.seconds, 0)} s in "
                f"the version “{first.name}” and {fixed(last.seconds, 1)} s in the "
                f"version “{last.name}”. The second is "
                f"{short(first.seconds / last.seconds)} times as fast. Their test "
                f"accuracies are {percent(first.test_accuracy)} and "
                f"{percent(last.test_accuracy)}."
            )
    return found


def checks_summary(results: Results) -> str:
    made = len(results.checks)
    failed = [check.name for check in results.checks if not check.passed]
    if not made:
        return "No check was made."
    if failed:
        return f"{len(failed)} of {made} checks failed: {', '.join(failed)}."
    return "The one check passed." if made == 1 else f"All {made} checks passed."


def _accuracies(scores: dict[str, ScoreRecord]) -> str:
    if not scores:
        return "No arm was scored on the test images."
    each = [
        f"{arm} {round(score.accuracy * score.images)} of {score.images} "
        f"({percent(score.accuracy)})"
        for arm, score in scores.items()
    ]
    return f"Test images classified correctly: {', '.join(each)}."


def _judgement(comparison: ComparisonRecord) -> str:
    if comparison.verdict == NO_DIFFERENCE:
        return (
            "The interval contains 0, so there is no difference shown. This does not "
            "prove that the two arms are equal."
        )
    return (
        f"The interval excludes 0: {comparison.verdict} on these images, in this one "
        "run with one seed."
    )


def _timing(phase: str, timing: TimingComparison, arms: tuple[str, str]) -> str:
    ratio, (low, high) = timing.ratio, timing.interval
    interval = interval_name(timing.confidence)
    if timing.verdict == TOO_NOISY:
        return (
            f"{phase}: {timing.verdict}. The times varied so much between the rounds "
            "that each arm may take twice as long as the other. Measure again while "
            "nothing else runs on the machine."
        )
    if timing.verdict == NO_DIFFERENCE:
        return (
            f"{phase}: {timing.verdict}. The ratio of times {' / '.join(arms)} is "
            f"{short(ratio)} ({interval} {short(low)} to {short(high)})."
        )
    slow = arms[0]
    if ratio < 1:
        ratio, low, high, slow = 1 / ratio, 1 / high, 1 / low, arms[1]
    return (
        f"{phase}: {timing.verdict} on this machine. {slow} takes {short(ratio)} times "
        f"as long ({interval} {short(low)} to {short(high)})."
    )


def _exports(arms: dict[str, ArmRecord]) -> str:
    parities = [arm.onnx.parity for arm in arms.values() if arm.onnx]
    if not parities:
        return ""
    worst = max(parity.max_scaled_diff for parity in parities)
    agreement = min(parity.top1_agreement for parity in parities)
    kept = "all" if agreement == 1 else f"at least {percent(agreement)} of the"
    return (
        "Each ONNX export is compared with its own framework. The largest "
        f"max_scaled_diff is {tiny(worst)}, and {kept} images keep their class."
    )
