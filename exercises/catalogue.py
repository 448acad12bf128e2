"""The exercises, from easy to hard in each direction. No framework is loaded here."""

import ast
from dataclasses import dataclass
from pathlib import Path

from shared.errors import UserError

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Exercise:
    """One task: `start.py`, `solution.py` and `check.py` in the folder of its name.

    Attributes:
        framework: the one that the answer is written in, "pytorch" or "keras".
        entries: of docs/differences.md.
        hints: a question, the place, and nearly the line.
    """

    name: str
    framework: str
    entries: tuple[str, ...]
    hints: tuple[str, str, str]

    @property
    def start(self) -> Path:
        """Return the file from which a learner begins."""
        return FOLDER / self.name / "start.py"

    @property
    def solution(self) -> Path:
        return FOLDER / self.name / "solution.py"

    @property
    def title(self) -> str:
        """Return the first line of the task."""
        return ast.get_docstring(ast.parse(self.start.read_text())).splitlines()[0]


EXERCISES = (
    Exercise(
        "loss",
        "pytorch",
        ("D10",),
        (
            "How many images does the last batch have, and how much do they count?",
            "Look at what the loop adds up, and at what it divides by.",
            "Multiply the loss of each batch by len(labels), and divide the sum by the "
            "number of all images, len(loader.dataset).",
        ),
    ),
    Exercise(
        "loop",
        "pytorch",
        ("D13", "D40"),
        (
            "What does fit() do for every batch that nobody has to write there?",
            "Each step needs a clean gradient, a forward pass, a loss, a backward pass "
            "and a step of the optimizer; before all of them, the model has a mode.",
            "Call model.train() first. In each step: optimizer.zero_grad(), "
            "cross_entropy(model(batch), batch_labels).backward(), optimizer.step().",
        ),
    ),
    Exercise(
        "padding",
        "pytorch",
        ("D03",),
        (
            "Which pixel of the image lies under the middle of the kernel in the first "
            "step, on each side?",
            "With stride 2 and an even number of pixels, one more row and one more "
            "column are needed. Keras puts both at the end, and padding=1 does not.",
            "Pad with nn.functional.pad(images, (0, 1, 0, 1)) if the stride is 2, and "
            "convolve without padding then.",
        ),
    ),
    Exercise(
        "augmentation",
        "pytorch",
        ("D11", "D26"),
        (
            "In which unit is the angle? And who decides: one coin for each image, or "
            "one for the batch?",
            "Look at the arguments of RandomRotation: the angle is in degrees, and the "
            "interpolation is another by default. Then look at what gets the batch.",
            "Use v2.RandomRotation(10, v2.InterpolationMode.BILINEAR), and "
            "torch.stack([transform(image) for image in images]).",
        ),
    ),
    Exercise(
        "frozen",
        "pytorch",
        ("D01",),
        (
            "Which values of a layer change although no gradient reaches them?",
            "Batch norm has buffers as well as parameters, and what it does depends on "
            "its mode. Which mode does it have once model.train() is called?",
            "Call backbone.eval() after model.train().",
        ),
    ),
    Exercise(
        "export",
        "pytorch",
        ("D20", "D42"),
        (
            "Which sizes of a batch does the file take? And are its weights inside?",
            "Two arguments of the call are missing: one names the axes that may have "
            "any size, the other says where the weights go.",
            'dynamic_shapes={"images": {0: torch.export.Dim("batch")}} and '
            "external_data=False. A None in place of the Dim means a fixed size.",
        ),
    ),
    Exercise(
        "axes",
        "keras",
        ("D04",),
        (
            "What happens to the height and the width?",
            "Swapping two axes leaves the third one where it was: write down the names "
            "N, C, H, W and where each has to go.",
            "The new order takes the old axes 0, 2, 3, 1: keras.ops.transpose(images, "
            "(0, 2, 3, 1)).",
        ),
    ),
    Exercise(
        "scale",
        "keras",
        ("D06",),
        (
            "Which numbers did the weights see when they were trained?",
            "(pixel / 255 - mean) / std is a product and a sum. Which factor does a "
            "pixel get, and what is added?",
            "The scale is 1 / (255 * std), and the offset is -mean / std.",
        ),
    ),
    Exercise(
        "batchnorm",
        "keras",
        ("D02",),
        (
            "Is the momentum the share of the old value or of the new one?",
            "Both arguments have other defaults in Keras, and the momentum has the "
            "opposite meaning too.",
            "PyTorch's momentum 0.1 is Keras's 1 - 0.1, and its eps is 1e-5.",
        ),
    ),
    Exercise(
        "best",
        "keras",
        ("D15",),
        (
            "What does the callback compare, and how often does it write the file?",
            "Three arguments of ModelCheckpoint say this: monitor, mode and "
            "save_best_only.",
            'ModelCheckpoint(path, monitor="val_accuracy", mode="max", '
            "save_best_only=True).",
        ),
    ),
    Exercise(
        "fit",
        "keras",
        ("D13", "D14"),
        (
            "Does the model give logits or probabilities? And what does the loss take?",
            "Compare each line of the loop with the arguments of compile() and fit(), "
            "and look at the defaults of those that you did not give.",
            "from_logits=True in the loss, SGD(0.1) as the optimizer, and batch_size=4 "
            "and shuffle=False in fit().",
        ),
    ),
    Exercise(
        "weights",
        "keras",
        ("D05",),
        (
            "What does each axis of a kernel mean, on either side?",
            "PyTorch has (out, in, H, W), (C, 1, H, W) and (out, in). Keras has "
            "(H, W, in, out), (H, W, C, 1) and (in, out). The first convolution, the "
            "depthwise one and the dense layer each need an order of their own.",
            "transpose(2, 3, 1, 0), transpose(2, 3, 0, 1) and .T.",
        ),
    ),
)


def find_exercise(name: str) -> Exercise:
    """Return the exercise of a name.

    Raises:
        UserError: there is none; the message lists what there is.
    """
    for exercise in EXERCISES:
        if exercise.name == name:
            return exercise
    raise UserError(
        f"exercise: there is no exercise {name!r}. There are "
        f"{', '.join(exercise.name for exercise in EXERCISES)}."
    )
