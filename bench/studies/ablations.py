"""What each difference does to accuracy: which runs to compare, and their verdict.

An ablation is the matched program with one difference left in, over the same seeds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from bench.judging.intervals import MeanDifference, decide, is_shown
from bench.records import AblationRecord, SeedScores

DRIFT_EPOCHS = 1  # a pass over all images through the whole network, for each seed

Kind = Literal[
    "head",  # left in while the head trains on the matched features
    "features",  # changes the backbone's features
    "pixels",  # changes how files become pixels
    "augmentation",  # changes how training images are moved
    "evaluation",  # changes the features of validation and test images alone
    "drift",  # changes the backbone while it trains
    "choice",  # takes another epoch of the same runs
    "arms",  # PyTorch's program against Keras's, each with the difference left in
]


@dataclass(frozen=True)
class Ablation:
    """How to leave one difference in.

    Attributes:
        arm: whose default or usual mistake it is.
        what: one line, "A instead of B".
        base: configuration of both runs, where it is not the run's own.
        changes: configuration of the run with the difference alone; without them the
            side's switch of that number is on.
    """

    arm: str
    kind: Kind
    what: str
    base: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)


ABLATIONS = {
    "D01": Ablation(
        *("pytorch", "drift", "requires_grad=False alone instead of eval()"),
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
        *("pytorch", "head", "L2 instead of decoupled decay, both 0.01"),
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
        *("pytorch", "head", "AdamW's decay 0.004 instead of 0.01"),
        base={"weight_decay": 0.01},
        changes={"weight_decay": 0.004},
    ),
    "D29": Ablation(
        *("pytorch", "head", "scheduler.step() forgotten"), base={"schedule": "cosine"}
    ),
}


@dataclass(frozen=True)
class AblationScores:
    """An ablation and its accuracies, without and with the difference, by seed."""

    ablation: Ablation
    matched: list[SeedScores]
    changed: list[SeedScores]

    def changes(self, split: str) -> MeanDifference:
        """Return what the difference does to the accuracy of a split.

        Raises:
            ValueError: the two have not the same seeds.
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

    All entries are judged together, on validation images and on test images apart.

    Raises:
        ValueError: as `AblationScores.changes`.
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
