"""Train a linear model for two epochs of 4, 4 and 2 images, and watch each step."""

from types import ModuleType

import torch

from exercises.expectations import expect, expect_close
from exercises.references import (
    NUM_CLASSES,
    NUM_INPUTS,
    draw,
    draw_samples,
    train_linear,
)

EPOCHS = 2
ADVICE = {
    1: "look at the loss, which takes logits, at the learning rate, and at the order "
    "of the images",
    2: "look at what the first step leaves in the gradients",
    3: "this batch has the last two images, which are a batch too",
}


class Watched(torch.nn.Linear):
    """A linear layer that keeps its weights and its mode whenever it is called."""

    def __init__(self) -> None:
        super().__init__(NUM_INPUTS, NUM_CLASSES, bias=False)
        self.weights: list[torch.Tensor] = []
        self.modes: list[bool] = []

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Compute the logits."""
        self.weights.append(self.weight.detach().clone())
        self.modes.append(self.training)
        return super().forward(features)


def check(answer: ModuleType) -> None:
    """Compare the weights after each step with NumPy's."""
    model = Watched().eval()
    first = draw(NUM_CLASSES, NUM_INPUTS)
    model.load_state_dict({"weight": torch.from_numpy(first)})
    features, labels = draw_samples(10)
    wanted = train_linear(first.T, features, labels, EPOCHS)
    answer.train(model, torch.from_numpy(features), torch.from_numpy(labels), EPOCHS)
    expect(model.modes != [], "the model was never called.")
    expect(
        all(model.modes),
        "the model is in evaluation mode in the first step, so dropout does nothing: "
        "fit() trains in training mode.",
    )
    after = [*model.weights[1:], model.weight]
    for step, (found, kernel) in enumerate(zip(after, wanted, strict=False), 1):
        advice = ADVICE.get(step, "look at what differs in the second epoch")
        expect_close(found, kernel.T, f"step {step}", advice)
    expect(
        len(after) == len(wanted),
        f"fit() takes {len(wanted)} steps with 10 images, batches of 4 and {EPOCHS} "
        f"epochs, and your loop takes {len(after)}.",
    )
