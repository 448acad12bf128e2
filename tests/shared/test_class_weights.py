"""The weights of the classes, by hand and as they are used."""

import numpy as np

from shared.class_weights import balance_classes


def test_weights_by_hand():
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    found = balance_classes(labels, 2)
    np.testing.assert_allclose(found, [8 / 12, 2.0], rtol=1e-6)
    assert found.dtype == np.float32


def test_all_images_have_the_mean_weight_1():
    labels = np.random.default_rng(0).integers(0, 10, 3068)
    assert np.isclose(balance_classes(labels, 10)[labels].mean(), 1)


def test_a_class_without_images_has_a_finite_weight():
    assert np.isfinite(balance_classes(np.array([0, 0]), 3)).all()
