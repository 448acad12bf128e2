"""Adam with weight decay and a schedule, and its state by names of both sides."""

import keras
import numpy as np
from keras import ops

from keras_impl.matched.model import Classifier
from keras_impl.weights import named_variables
from shared.config import Config
from shared.model.architecture import to_keras_layout, to_torch_layout
from shared.model.checkpoints import MOMENTS, require_optimizer
from shared.model.weights import Arrays


def make_optimizer(
    network: keras.Model, config: Config, num_steps: int
) -> keras.optimizers.Optimizer:
    """Make AdamW (Loshchilov and Hutter, 2019) for everything that is not frozen.

    With weight decay 0 it is Adam (Kingma and Ba, 2015).

    Args:
        num_steps: length of a cosine schedule (Loshchilov and Hutter, 2017).
    """
    learning_rate = config.learning_rate
    if config.schedule == "cosine":  # [D29] PyTorch: a scheduler beside the optimizer
        learning_rate = keras.optimizers.schedules.CosineDecay(learning_rate, num_steps)
    optimizer = _Adam(
        learning_rate=learning_rate,
        beta_1=config.adam_beta_1,
        beta_2=config.adam_beta_2,
        epsilon=config.adam_epsilon,
        weight_decay=config.weight_decay or None,  # [D09] decoupled
        name="adam",
    )
    # fit() would do it; here the moments are there before the first step.
    optimizer.build(network.trainable_variables)
    return optimizer


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
        `step`, and `exp_avg/<name>` and `exp_avg_sq/<name>` in torchvision's names and
        layout; all zero before the first step.
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
        slots = optimizer._momentums[index], optimizer._velocities[index]
        for moment, slot in zip(MOMENTS, slots, strict=True):
            found[f"{moment}/{name}"] = name, slot
    return found


def find_trained(model: Classifier) -> dict[str, keras.Variable]:
    """Return every array that is trained, by its name in torchvision."""
    return {
        name: variable
        for name, variable in named_variables(model).items()
        if variable.trainable
    }
