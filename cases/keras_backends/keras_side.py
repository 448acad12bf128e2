"""One Keras program on two backends; the other side runs this very file."""

import keras
import numpy as np
from keras import layers

from cases.data import BATCH_SIZE, CLASSES, SIZE_PX, load_images
from cases.keras_backends.data import DROPOUT, EPOCHS, LEARNING_RATE, make_values
from cases.keras_common import load_values, predict


def build_model(seed: int, differences: frozenset[str]) -> keras.Model:
    """Return the network, with what the backend draws by itself if left in."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((SIZE_PX, SIZE_PX, 3)),
            *(layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D()),
            *(layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D()),
            layers.Flatten(),
            layers.Dropout(DROPOUT if "dropout" in differences else 0),
            layers.Dense(len(CLASSES), activation="softmax"),
        ]
    )
    if "first values" not in differences:
        load_values(model, make_values(seed))
    return model


def measure(seed: int, differences: frozenset[str]) -> tuple[float, np.ndarray]:
    """Return the accuracy on the test images, in percent, and all outputs."""
    train_images, train_labels, images, labels = load_images(seed)
    model = build_model(seed, differences)
    # Adam makes large steps of tiny gradients, and so of rounding errors too.
    optimizer = keras.optimizers.SGD(LEARNING_RATE)
    if "Adam" in differences:
        optimizer = keras.optimizers.Adam()
    model.compile(optimizer, "sparse_categorical_crossentropy")
    model.fit(
        train_images / 255,
        train_labels,
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        shuffle="shuffling" in differences,
        verbose=0,
    )
    outputs = predict(model, images / 255)
    return 100 * float(np.mean(outputs.argmax(axis=1) == labels)), outputs
