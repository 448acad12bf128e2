"""Measure the effect of each difference on accuracy.

An ablation trains the matched program with one difference left in, and compares it
with the matched program over the same seeds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from bench.judging.intervals import MeanDifference, decide, is_shown
from bench.records import AblationRecord, SeedScores

DRIFT_EPOCHS = 1  # an epoch passes all images through the whole network, which is slow

Kind = Literal[
    "head",  # changes the training of the head on the matched features
    "features",  # changes the backbone's features
    "pixels",  # changes how files become pixels
    "augmentation",  # changes how training images are moved
    "evaluation",  # changes only the features of validation and test images
    "drift",  # changes the backbone while the head trains
    "choice",  # chooses another epoch of the same runs
    "arms",  # compares PyTorch's and Keras's program, both with the difference left in
]


@dataclass(frozen=True)
class Ablation:
    """Description of how to leave one difference in.

    Attributes:
        arm: the arm whose default or usual mistake the difference is.
        what: one line such as "A instead of B".
        base: changes of the configuration for both runs.
        changes: changes of the configuration for the run with the difference. If there
            are none, that run switches on the difference of this number.
    """

    arm: str
    kind: Kind
    what: str
    base: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)


ABLATIONS = {
    "D01": Ablation(
        "pytorch",
        "drift",
        "requires_grad=False alone instead of eval()",
        base={"epochs": DRIFT_EPOCHS},
    ),
    "D02": Ablation("keras", "features", "epsilon 1e-3 instead of 1e-5"),
    "D03": Ablation("keras", "features", "padding bottom and right instead of around"),
    "D04": Ablation("pytorch", "features", "swapaxes instead of permute"),
    "D05": Ablation("keras", "features", "depthwise kernels transposed wrongly"),
    "D06": Ablation("pytorch", "features", "the other framework's scale of pixels"),
    "D07": Ablation("pytorch", "head", "PyTorch's first values instead of Glorot's"),
    "D08": Ablation("keras", "head", "Keras's Adam instead of PyTorch's"),
    "D09": Ablation(
        "pytorch",
        "head",
        "L2 instead of decoupled decay, both 0.01",
        base={"weight_decay": 0.01},
    ),
    "D11": Ablation("keras", "augmentation", "reflected instead of black borders"),
    "D12": Ablation("keras", "augmentation", "RandomZoom(0.1) instead of a crop"),
    "D13": Ablation("keras", "head", "from_logits=True forgotten"),
    "D14": Ablation("keras", "head", "a buffer of 8 batches instead of all images"),
    "D15": Ablation("pytorch", "choice", "lowest loss instead of highest accuracy"),
    "D17": Ablation("keras", "arms", "Keras's own masks instead of PyTorch's own"),
    "D18": Ablation("keras", "pixels", "tf.io.decode_jpeg instead of Pillow"),
    "D20": Ablation("pytorch", "evaluation", "eval() forgotten before predicting"),
    "D24": Ablation("keras", "pixels", "load_img's nearest pixel instead of bilinear"),
    "D25": Ablation("pytorch", "pixels", "256 and centre crop instead of squeezing"),
    "D26": Ablation("keras", "augmentation", "flips upside down too"),
    "D28": Ablation(
        "pytorch",
        "head",
        "AdamW's decay 0.004 instead of 0.01",
        base={"weight_decay": 0.01},
        changes={"weight_decay": 0.004},
    ),
    "D29": Ablation(
        "pytorch",
        "head",
        "scheduler.step() forgotten",
        base={"schedule": "cosine"},
    ),
    "D36": Ablation(
        "keras",
        "head",
        "a momentum of steps instead of gradients, under a cosine schedule",
        base={"optimizer": "sgd", "learning_rate": 0.01, "schedule": "cosine"},
    ),
    "D37": Ablation(
        "pytorch",
        "head",
        "a loss divided by the class weights instead of the number of images",
        base={"class_weights": True},
    ),
    "D40": Ablation("pytorch", "head", "zero_grad() forgotten"),
    "D47": Ablation(
        "pytorch", "features", "bfloat16 instead of float32 in the backbone"
    ),
}


@dataclass(frozen=True)
class AblationScores:
    """Accuracies of an ablation by seed, without and with the difference."""

    ablation: Ablation
    matched: list[SeedScores]
    changed: list[SeedScores]

    def changes(self, split: str) -> MeanDifference:
        """Return the change of a split's accuracy that the difference causes.

        Raises:
            ValueError: the two runs have different seeds.
        """
        before, after = (
            {one.seed: getattr(one, split) for one in scores}
            for scores in (self.matched, self.changed)
        )
        if list(before) != list(after):
            raise ValueError("an ablation needs the same seeds on both sides")
        return MeanDifference(np.array([after[seed] - before[seed] for seed in before]))


def judge(ablated: Mapping[str, AblationScores]) -> dict[str, AblationRecord]:
    """Decide for which entries of a ledger the test images show a change of accuracy.

    All entries are judged together, separately on validation and on test images.

    Raises:
        ValueError: see `AblationScores.changes`.
    """
    validation, test = (
        decide([one.changes(split) for one in ablated.values()])
        for split in ("validation", "test")
    )
    return {
        number: AblationRecord(
            arm=one.ablation.arm,
            what=one.ablation.what,
            matched=one.matched,
            changed=one.changed,
            validation_change=on_validation.estimate,
            validation_interval=on_validation.interval,
            validation_confidence=on_validation.confidence,
            validation_p=on_validation.p,
            test_change=on_test.estimate,
            test_interval=on_test.interval,
            test_confidence=on_test.confidence,
            test_p=on_test.p,
            verdict="shown" if is_shown(on_test.interval) else "not shown",
        )
        for (number, one), on_validation, on_test in zip(
            ablated.items(), validation, test, strict=True
        )
    }
