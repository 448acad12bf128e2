"""Train a linear model on one batch, and then for two epochs of 4, 4 and 2 images."""

from types import ModuleType

import keras

from exercises.expectations import expect, expect_close
from exercises.references import (
    NUM_CLASSES,
    NUM_INPUTS,
    draw,
    draw_samples,
    train_linear,
)

CASES = (  # images, epochs, place and advice
    (4, 1, "one step", "look at the loss, which gets logits, and at the learning rate"),
    (10, 2, "two epochs", "look at the order in which fit() takes the images"),
)


def check(answer: ModuleType) -> None:
    """Compare the number of steps and the weights with NumPy's."""
    for count, epochs, where, advice in CASES:
        inputs = keras.Input((NUM_INPUTS,))
        layer = keras.layers.Dense(NUM_CLASSES, use_bias=False)
        model = keras.Model(inputs, layer(inputs))
        first = draw(NUM_INPUTS, NUM_CLASSES)
        layer.kernel.assign(first)
        features, labels = draw_samples(count)
        keras.utils.set_random_seed(0)
        answer.train(model, features, labels, epochs)
        kernels = train_linear(first, features, labels, epochs)
        steps = int(model.optimizer.iterations)
        expect(
            steps == len(kernels),
            f"with {count} images, the loop takes {len(kernels)} steps in all, and "
            f"fit() takes {steps}: look at the size of the batches.",
        )
        expect_close(layer.kernel, kernels[-1], f"the weights after {where}", advice)
