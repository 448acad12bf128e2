"""Single steps of training, and the gradients of one batch."""

from collections.abc import Callable

import keras
import numpy as np

from keras_impl.matched import training
from keras_impl.matched.model import Classifier
from keras_impl.matched.optimizer import find_trained, load_optimizer
from keras_impl.matched.training import add_dropout_plan, compile_network
from shared.config import Config
from shared.model.architecture import to_torch_layout
from shared.model.weights import Arrays

Inputs = np.ndarray | tuple[np.ndarray, np.ndarray]  # images, or with dropout's factors
TrainStep = Callable[[Inputs, np.ndarray], float]


def make_train_step(
    model: Classifier,
    config: Config,
    num_steps: int,
    optimizer_state: Arrays | None = None,
    on_features: bool = False,
) -> TrainStep:
    """Return a function that does one update from a batch and returns the loss.

    It takes inputs and labels as a loader for training has them: a pair of images and
    the dropout plan's factors, and (N,) int64.

    Args:
        num_steps: length of the schedule.
        optimizer_state: what `read_optimizer` returned, to go on from there.
        on_features: the inputs are the backbone's features, not images.
    """
    network = add_dropout_plan(model.head if on_features else model, model.head)
    compile_network(network, config, num_steps)
    if optimizer_state:
        load_optimizer(model, network.optimizer, optimizer_state)
    return _make_train_step(network)


def make_plain_train_step(model: keras.Model, learning_rate: float) -> TrainStep:
    """Return such a function for the plain program, whose inputs are images alone."""
    optimizer = keras.optimizers.Adam(learning_rate)
    model.compile(optimizer=optimizer, loss=training.make_loss(), metrics=["accuracy"])
    return _make_train_step(model)


def _make_train_step(network: keras.Model) -> TrainStep:
    def train_step(inputs: Inputs, labels: np.ndarray) -> float:
        logs = network.train_on_batch(inputs, labels, return_dict=True)
        return float(logs["loss"])

    return train_step


def compute_gradients(
    model: Classifier, inputs: Inputs, labels: np.ndarray
) -> tuple[float, Arrays]:
    """Return one batch's loss and its gradients, in torchvision's layout.

    Only what is not frozen has a gradient. The inputs are those of a training step.
    """
    keeper = _GradientKeeper(learning_rate=0.0, name="keeper")
    network = add_dropout_plan(model, model.head)
    # Tracing a graph for one step would take longer than the step.
    network.compile(
        optimizer=keeper, loss=training.make_loss(), jit_compile=False, run_eagerly=True
    )
    loss = float(network.train_on_batch(inputs, labels))
    kept = {
        variable.path: np.array(gradient)
        for variable, gradient in zip(
            model.trainable_variables, keeper.kept, strict=True
        )
    }
    gradients = {
        name: to_torch_layout(name, kept[variable.path])
        for name, variable in find_trained(model).items()
    }
    return loss, gradients


class _GradientKeeper(keras.optimizers.Optimizer):
    """An optimizer that keeps the gradients and moves nothing, on any backend."""

    def build(self, variables: list) -> None:
        if not self.built:
            super().build(variables)
            self.kept = self.add_optimizer_variables(variables, ["gradient"])[0]

    def update_step(self, gradient, variable, learning_rate) -> None:
        self.assign(self.kept[self._get_variable_index(variable)], gradient)
