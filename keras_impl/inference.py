"""Run the network without training it: features and logits of a whole split."""

import keras
import numpy as np

from keras_impl.model import Classifier


def compute_features(model: Classifier, loader: keras.utils.PyDataset) -> np.ndarray:
    """The backbone's features of all images, (N, 1280) float32, in loader order."""
    return _run(model.backbone, loader)


def predict_logits(model: Classifier, loader: keras.utils.PyDataset) -> np.ndarray:
    """Logits of all images, (N, classes) float32, in loader order; no dropout."""
    return _run(model, loader)


def predict_head_logits(
    model: Classifier, loader: keras.utils.PyDataset
) -> np.ndarray:
    """Logits of features that were computed before, (N, classes) float32."""
    return _run(model.head, loader)


def _run(network: keras.Model, loader: keras.utils.PyDataset) -> np.ndarray:
    # predict() always runs in inference mode; PyTorch: eval() and inference_mode()
    return network.predict(loader, verbose=0)
