"""Phases of a training: the head on the frozen backbone, then fine-tuning."""

from dataclasses import dataclass

from shared.config import Config
from shared.model.architecture import NUM_BLOCKS


@dataclass(frozen=True)
class Phase:
    """Epochs in a row with one optimizer, one schedule, and the same arrays trained."""

    epochs: range  # counted from 1 over all phases
    config: Config  # the run's, with the learning rate of this phase
    first_block: int | None = None  # trained from it on; None: the backbone is frozen

    @property
    def backbone_learns(self) -> bool:
        """Whether it trains more than the head."""
        return self.first_block is not None

    @property
    def on_features(self) -> bool:
        """Whether its batches are features that were computed once."""
        return self.config.features_are_cached and not self.backbone_learns

    @property
    def batch_norm_learns(self) -> bool:
        """Whether batch norm takes the statistics of each batch. [D01]"""
        return self.backbone_learns or self.config.batch_norm_drifts


def plan_phases(config: Config) -> list[Phase]:
    """Return the phases of a training in their order.

    Gradual fine-tuning has a phase for each of its n epochs. In the k-th of them, the
    uppermost k/n of the backbone's blocks are trained, rounded up. As in ULMFiT (Howard
    and Ruder, 2018), each of these phases has its own optimizer and schedule.
    """
    head = Phase(range(1, config.epochs + 1), config)
    if config.fine_tuning == "off":
        return [head]
    changed = config.model_copy(update={"learning_rate": config.fine_tuning_rate})
    first, end, count = (
        head.epochs.stop,
        config.num_epochs + 1,
        config.fine_tuning_epochs,
    )
    if config.fine_tuning == "all":
        return [head, Phase(range(first, end), changed, first_block=0)]
    return [
        head,
        *(
            Phase(
                range(epoch, epoch + 1),
                changed,
                first_block=NUM_BLOCKS * (end - 1 - epoch) // count,
            )
            for epoch in range(first, end)
        ),
    ]
