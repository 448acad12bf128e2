"""Update rule and schedule, and the optimizer's state by names of both sides."""

import keras
import numpy as np
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from keras_impl.matched.model import Classifier
from keras_impl.weights import named_variables
from shared.config import Config
from shared.model.architecture import to_keras_layout, to_torch_layout
from shared.model.checkpoints import MOMENTS, require_optimizer
from shared.model.weights import Arrays


def make_optimizer(
    network: keras.Model, config: Config, num_steps: int
) -> keras.optimizers.Optimizer:
    """Make the configured optimizer for everything that is not frozen.

    Args:
        num_steps: length of the schedule, which is cosine (Loshchilov and Hutter, 2017)
            or one-cycle (Smith and Topin, 2018).
    """
    optimizer = _make_update_rule(config, _make_schedule(config, num_steps))
    # fit() would do it; here the moments are there before the first step.
    optimizer.build(network.trainable_variables)
    return optimizer


def _make_update_rule(
    config: Config, learning_rate: float | LearningRateSchedule
) -> keras.optimizers.Optimizer:
    """Make SGD with momentum, or AdamW (Loshchilov and Hutter, 2019).

    With weight decay 0, AdamW is Adam (Kingma and Ba, 2015).
    """
    if config.optimizer == "sgd":
        return _Sgd(learning_rate=learning_rate, momentum=config.momentum, name="sgd")
    return _Adam(
        learning_rate=learning_rate,
        beta_1=config.adam_beta_1,
        beta_2=config.adam_beta_2,
        epsilon=config.adam_epsilon,
        weight_decay=config.weight_decay or None,  # [D09] decoupled
        name="adam",
    )


def _make_schedule(config: Config, num_steps: int) -> float | LearningRateSchedule:
    # [D29] It takes the place of the number; PyTorch: a scheduler beside the optimizer.
    if config.schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(config.learning_rate, num_steps)
    if config.schedule == "one-cycle":
        return _OneCycle(config.learning_rate, num_steps)
    return config.learning_rate


class _OneCycle(LearningRateSchedule):
    """torch.optim.lr_scheduler.OneCycleLR with its defaults, which Keras lacks.

    The rate rises along a half cosine from a 25th of the highest rate to the highest
    rate in the first 30 % of the steps, and falls along another to a 250,000th.
    """

    def __init__(self, highest_rate: float, num_steps: int) -> None:
        self.highest_rate = highest_rate
        self.num_steps = num_steps

    def __call__(self, step):
        first, last = self.highest_rate / 25, self.highest_rate / 25e4
        peak, end = 0.3 * self.num_steps - 1, self.num_steps - 1
        step = ops.cast(step, "float32")
        rising = _half_cosine(first, self.highest_rate, step / peak)
        share = (step - peak) / (end - peak)
        falling = _half_cosine(self.highest_rate, last, share)
        return ops.where(step <= peak, rising, falling)


def _half_cosine(start: float, end: float, share):
    """Return the rate at a share of the way from start to end."""
    return end + (start - end) / 2 * (1 + ops.cos(np.pi * share))


class _Sgd(keras.optimizers.SGD):
    """[D36] Keras's SGD with the momentum of PyTorch, a sum of gradients.

    Keras's own sums steps, so that a schedule does not reach the steps already in it.
    """

    def update_step(self, gradient, variable, learning_rate) -> None:
        momentum = self.momentums[self._get_variable_index(variable)]
        self.assign(momentum, self.momentum * momentum + gradient)
        learning_rate = ops.cast(learning_rate, variable.dtype)
        self.assign_sub(variable, learning_rate * momentum)


class _Adam(keras.optimizers.Adam):
    """[D08] Keras's Adam with epsilon where PyTorch and the paper have it."""

    def update_step(self, gradient, variable, learning_rate) -> None:
        index = self._get_variable_index(variable)
        momentum, velocity = self._momentums[index], self._velocities[index]
        step = ops.cast(self.iterations + 1, variable.dtype)
        # What a schedule returns is float32, whatever the variables are.
        learning_rate = ops.cast(learning_rate, variable.dtype)
        # 1 - beta^step; as a difference it would lose digits in float32
        correction_1 = -ops.expm1(step * np.log(self.beta_1))
        correction_2 = -ops.expm1(step * np.log(self.beta_2))
        # JAX's arrays take no Keras variable on their right: subtract(), or it is first
        self.assign_add(momentum, (1 - self.beta_1) * ops.subtract(gradient, momentum))
        square = ops.square(gradient)
        self.assign_add(velocity, (1 - self.beta_2) * ops.subtract(square, velocity))
        divisor = ops.sqrt(velocity / correction_2) + self.epsilon
        self.assign_sub(variable, momentum * (learning_rate / correction_1) / divisor)


def read_optimizer(model: Classifier, optimizer: keras.optimizers.Optimizer) -> Arrays:
    """Return copies of the optimizer's step and moments, named after what it trains.

    Returns:
        `step`, and each moment as `<moment>/<name>`, such as `exp_avg/<name>`, in
        torchvision's names and layout; all zero before the first step.
    """
    found: Arrays = {"step": np.array(optimizer.iterations, np.int64)}
    for key, (name, slot) in _moments(model, optimizer).items():
        found[key] = np.array(to_torch_layout(name, np.array(slot)), order="C")
    return found


def load_optimizer(
    model: Classifier, optimizer: keras.optimizers.Optimizer, arrays: Arrays
) -> None:
    """Set the optimizer to the state that `read_optimizer` of either side has read.

    Raises:
        UserError: the state is of another optimizer or model.
    """
    moments = _moments(model, optimizer)
    require_optimizer(
        {name: array.shape for name, array in arrays.items()},
        {
            name: to_torch_layout(name, np.empty(slot.shape)).shape
            for name, slot in moments.values()
        },
        tuple(_slots(optimizer)),
    )
    optimizer.iterations.assign(arrays["step"])
    for key, (name, slot) in moments.items():
        slot.assign(to_keras_layout(name, arrays[key]))


def _moments(
    model: Classifier, optimizer: keras.optimizers.Optimizer
) -> dict[str, tuple[str, keras.Variable]]:
    """Return each trained array's name and moment, by the moment's name."""
    found = {}
    for name, variable in find_trained(model).items():
        index = optimizer._get_variable_index(variable)
        for moment, slots in _slots(optimizer).items():
            found[f"{moment}/{name}"] = name, slots[index]
    return found


def _slots(optimizer: keras.optimizers.Optimizer) -> dict[str, list[keras.Variable]]:
    """Return what the optimizer keeps of each array, by the moment's name."""
    if isinstance(optimizer, _Sgd):
        return dict(zip(MOMENTS["sgd"], [optimizer.momentums], strict=True))
    slots = optimizer._momentums, optimizer._velocities
    return dict(zip(MOMENTS["adam"], slots, strict=True))


def find_trained(model: Classifier) -> dict[str, keras.Variable]:
    """Return every array that is trained, by its name in torchvision."""
    return {
        name: variable
        for name, variable in named_variables(model).items()
        if variable.trainable
    }
