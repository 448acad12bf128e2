"""Train a head for an epoch of two batches, and watch the backbone."""

from types import ModuleType

import torch
from torch import nn

from exercises.expectations import expect, expect_close
from exercises.references import draw


class Head(nn.Linear):
    """A linear layer that keeps its inputs and its mode whenever it is called."""

    def __init__(self) -> None:
        super().__init__(4, 3)
        self.inputs: list[torch.Tensor] = []
        self.modes: list[bool] = []

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Compute the logits."""
        self.inputs.append(features.detach().clone())
        self.modes.append(self.training)
        return super().forward(features)


def check(answer: ModuleType) -> None:
    """Compare the features of each batch with those of evaluation mode."""
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4)).eval()
    head = Head()
    batches = [
        (torch.from_numpy(draw(6, 5, seed=i)), torch.arange(6) % 3) for i in (1, 2)
    ]
    with torch.inference_mode():
        wanted = [backbone(images).numpy() for images, _ in batches]
    first_weight = head.weight.detach().clone()
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    answer.train_epoch(backbone, head, batches, optimizer)

    for batch, (found, features) in enumerate(
        zip(head.inputs, wanted, strict=False), 1
    ):
        advice = "look at the mode of batch norm; its stored statistics are to be used"
        expect_close(found, features, f"the features of batch {batch}", advice)
    expect(all(head.modes), "the head is in evaluation mode, so its dropout is off.")
    expect(not torch.equal(head.weight, first_weight), "the head learns nothing.")
