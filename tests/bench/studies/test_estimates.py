"""The time that experiments are said to take."""

import pytest

from bench.studies import estimates
from shared.config import make_config


def test_passes_over_images_are_counted():
    epoch = estimates.EPOCH_ON_IMAGES
    assert estimates.work_of(make_config()) == 1
    assert estimates.work_of(make_config(augment=True, epochs=4)) == 1 + 4 * epoch
    tuned = make_config(fine_tuning="all", fine_tuning_epochs=3)
    assert estimates.work_of(tuned) == 1 + 3 * estimates.EPOCH_OF_FINE_TUNING


def test_the_last_run_on_this_machine_is_believed(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    first = estimates.estimate_training_s()
    assert 0.01 < first < 1000
    estimates.store_training_s(12.5, images=estimates.TRAIN_IMAGES // 2)
    assert estimates.estimate_training_s() == pytest.approx(25)
    estimates.store_training_s(0.1, images=64)
    assert estimates.estimate_training_s() == pytest.approx(25)
