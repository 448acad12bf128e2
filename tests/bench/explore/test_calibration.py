"""Calibration, against values that are worked out by hand."""

import numpy as np
import pytest

from bench.explore.calibration import (
    Bin,
    calibrate,
    calibration,
    calibration_error,
)


def test_calibration_by_hand():
    confidence = np.array([0.62, 0.68, 0.91, 1.0])
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    labels = np.array([0, 1, 0, 0])
    first, second = calibrate(probabilities, labels)
    assert (first.images, first.accuracy) == (2, 0.5)
    assert first.confidence == pytest.approx(0.65)
    assert (second.images, second.accuracy) == (2, 1.0)  # 1.0 is in the last bin
    assert second.confidence == pytest.approx(0.955)
    error = calibration_error([first, second])
    assert error == pytest.approx(0.5 * 0.15 + 0.5 * 0.045)


def test_calibration_error_weights_bins_by_their_images():
    bins = [Bin(images=3, confidence=0.6, accuracy=0.5), Bin(1, 0.9, 1.0)]
    assert calibration_error(bins) == pytest.approx(0.1)
    assert calibration_error([Bin(9, 0.8, 0.8)]) == 0


def test_section_says_whether_an_arm_is_too_sure(make_data):
    data = make_data()
    wrong = np.eye(2)[1 - data.splits["test"].labels] * 4
    row, bullets, fold = calibration({"pytorch": {"test": wrong}}, data)
    assert row.blocks[0].kind == "plot"
    assert "98.2 points higher than the accuracy" in bullets.items[0]
    assert fold.blocks[0].rows[0][:4] == ["pytorch", "6", "98.2%", "0.0%"]
