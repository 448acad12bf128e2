"""A plain CNN: what of a usual program keeps its accuracy down."""

import keras
import numpy as np
from keras import layers

from cases.data import BATCH_SIZE, CLASSES, load_images
from cases.keras_common import fit, load_values, make_adam, predict, to_images
from cases.plain_cnn.data import EPOCHS, LEARNING_RATE, NUM_HIDDEN, make_values


def build_model(seed: int, differences: frozenset[str]) -> keras.Model:
    """Return the network, with the framework's own first values if left in."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            *(layers.Conv2D(8, 3, activation="relu"), layers.MaxPooling2D()),
            *(layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D()),
            layers.Permute((3, 1, 2)),  # [D04] so that PyTorch's kernel fits
            layers.Flatten(),
            layers.Dense(NUM_HIDDEN, activation="relu"),
            layers.Dense(len(CLASSES)),
        ]
    )
    if "first values" not in differences:
        load_values(model, make_values(seed))
    if "softmax in the model" in differences:
        model.add(layers.Softmax())  # the loss is told so in measure() [D13]
    return model


def measure(seed: int, differences: frozenset[str]) -> tuple[float, np.ndarray]:
    """Return the accuracy on the test images, in percent, and all outputs."""
    train_images, train_labels, images, labels = load_images(seed)
    model = build_model(seed, differences)
    optimizer = make_adam(model, LEARNING_RATE, differences)
    from_logits = "softmax in the model" not in differences
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    inputs, targets = to_images(train_images / 255), train_labels
    if "order by default" in differences:
        # fit() shuffles the images in each epoch, also those of sorted files.
        order = np.argsort(targets, kind="stable")
        model.compile(optimizer, loss)
        data = inputs[order], targets[order]
        model.fit(*data, batch_size=BATCH_SIZE, epochs=EPOCHS, verbose=0)
    else:
        fit(model, optimizer, loss, inputs, targets, EPOCHS)
    outputs = predict(model, to_images(images / 255))
    return 100 * float(np.mean(outputs.argmax(axis=1) == labels)), outputs
