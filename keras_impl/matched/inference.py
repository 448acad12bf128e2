"""Run the network without training it: features and logits of a whole split."""

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

from shared.features import store_features
from shared.progress import OnBatch, ignore


def compute_features(
    backbone: keras.Model,
    loader: keras.utils.PyDataset,
    on_batch: OnBatch = ignore,
    store: Path | None = None,
) -> np.ndarray:
    """Return the backbone's features of all images, (N, 1280), in loader order.

    Args:
        backbone: the classifier's, or what `fold_batch_norm` made of it.
        store: a file to keep them in instead of memory.
    """
    return store_features(
        _batches(backbone, loader, on_batch), len(loader.labels), store
    )


def predict_logits(
    network: keras.Model, loader: keras.utils.PyDataset, on_batch: OnBatch = ignore
) -> np.ndarray:
    """Return the logits of all samples, (N, classes), in loader order.

    Args:
        network: the classifier, what `fold_classifier` made of it, or its head where
            the loader brings features.
    """
    # predict() loops over the batches, in inference mode; PyTorch: eval(), a loop.
    progress = keras.callbacks.LambdaCallback(
        on_predict_batch_end=lambda batch, logs: on_batch(batch + 1, len(loader))  # noqa: ARG005
    )
    own = isinstance(loader, keras.utils.PyDataset)  # tf.data in the plain division
    batches = loader.make_pipeline() if own else loader
    return network.predict(batches, callbacks=[progress], verbose=0)


def predict_batch(network: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """Return the outputs of one batch, in inference mode and the framework's layout."""
    return network.predict_on_batch(inputs)


def _batches(
    network: keras.Model, loader: keras.utils.PyDataset, on_batch: OnBatch
) -> Iterator[np.ndarray]:
    """Do what predict() does without keeping all outputs in memory."""
    for number, (inputs, _) in enumerate(loader, 1):
        yield network.predict_on_batch(inputs).astype(keras.config.floatx())
        on_batch(number, len(loader))
