"""The configuration refuses what it does not know, all of it at once."""

import pytest

from shared.config import MATCHED_ONLY, Config, make_config
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


def test_fields_of_the_other_division_cannot_be_changed():
    with pytest.raises(UserError) as error:
        make_config(division="plain", adam_epsilon=1e-7, precision="float64")
    for words in ("adam_epsilon = 1e-07", "precision = 'float64'", "matched division"):
        assert words in str(error.value)


def test_every_field_is_read_by_the_plain_division_or_refused_there():
    """A new field has to be taken up here or in MATCHED_ONLY."""
    assert set(Config.model_fields) - set(MATCHED_ONLY) == {
        *("division", "seed", "device", "epochs", "augment"),
        *("inner_size", "dropout", "learning_rate"),
        *("timing_rounds", "timing_warmup_steps", "timing_steps", "timing_budget_s"),
    }


def test_fine_tuning_adds_its_epochs():
    assert make_config(epochs=3).num_epochs == 3
    assert make_config(epochs=3, fine_tuning="all").num_epochs == 8


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "fast"])
def test_numbers_are_finite_numbers(value):
    with pytest.raises(UserError, match="learning_rate"):
        make_config(learning_rate=value)


def test_augmented_features_are_not_cached():
    assert make_config().features_are_cached
    assert not make_config(augment=True).features_are_cached
    assert not make_config(batch_norm="drifting").features_are_cached
    assert not make_config(cache_features=False).features_are_cached
    assert not make_config(division="plain").features_are_cached


def test_tf32_on_a_gpu_has_fewer_digits():
    """So no result of it is judged by the limits of float32."""
    assert make_config(tf32=True, device="cuda").is_rounded
    assert not make_config(tf32=True, device="cpu").is_rounded
    assert not make_config(tf32=True, device="cuda", precision="float64").is_rounded
    assert not make_config(device="cuda").is_rounded
