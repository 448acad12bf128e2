"""The configuration refuses what it does not know, all of it at once."""

import pytest

from shared.config import make_config
from shared.errors import UserError


def test_defaults_are_the_workshop_s():
    config = make_config()
    assert (config.batch_size, config.epochs, config.learning_rate) == (32, 10, 1e-3)
    assert (config.inner_size, config.dropout, config.augment) == (100, 0.2, False)


def test_every_fault_is_named():
    with pytest.raises(UserError) as error:
        make_config(epochs=0, dropout=1.0, momentum=3)
    for name in ("epochs = 0", "dropout = 1.0", "momentum = 3"):
        assert name in str(error.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "fast"])
def test_numbers_are_finite_numbers(value):
    with pytest.raises(UserError, match="learning_rate"):
        make_config(learning_rate=value)


def test_augmented_features_are_not_cached():
    assert make_config().features_are_cached
    assert not make_config(augment=True).features_are_cached
    assert not make_config(cache_features=False).features_are_cached
