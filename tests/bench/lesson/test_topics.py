"""The topics name code and differences that there are, and cover all of it."""

import pytest

from bench.ledger import read_document, read_titles
from bench.lesson.source import SIDES, has_matched, list_public
from bench.lesson.topics import TOPICS, find_topic
from shared.errors import UserError


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
@pytest.mark.parametrize("side", SIDES)
def test_code_of_a_topic_exists(topic, side):
    assert topic.codes(side)  # raises a LookupError for what is gone
    names = [*topic.counterparts]
    if side == "pytorch":
        names = [
            name for text in topic.counterparts.values() for name in text.split(", ")
        ]
    assert set(names) <= topic.names(side)


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_matched_code_of_a_topic_exists(topic):
    for reference in topic.matched:
        assert any(has_matched(side, reference) for side in SIDES), reference


@pytest.mark.parametrize("side", SIDES)
def test_every_public_function_belongs_to_a_topic(side):
    shown = {
        ".".join(reference.partition(":")[0].split(".")[:2])
        for topic in TOPICS
        for reference in topic.references(side)
    }
    assert set(list_public(side)) <= shown


def test_every_difference_belongs_to_a_topic():
    named = {entry for topic in TOPICS for entry in topic.entries}
    assert named == set(read_titles(read_document()))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("freezing", "freezing"),
        ("ONNX export", "onnx-export"),
        ("training_loop", "training-loop"),
        ("d13", "loss"),
        ("BatchNormalization", "freezing"),
        ("nn.BatchNorm2d", "freezing"),
        ("zero_grad", "training-loop"),
        ("optimizer.zero_grad()", "training-loop"),
        ("fit", "training-loop"),
        ("keras.layers.Dropout", "dropout"),
        ("ImageFolder", "load-images"),
        ("weights_only", "checkpoint"),
        ("from_logits", "loss"),
        ("eval", "freezing"),
        ("CosineAnnealingLR", "schedule"),
        ("nn.CrossEntropyLoss", "loss"),
        ("tf.GradientTape", "training-loop"),
        ("EarlyStopping", "checkpoint"),
        ("distributed", "more-than-one-device"),
        ("torchrun", "more-than-one-device"),
        ("DistributedSampler", "more-than-one-device"),
        ("tf.distribute.MirroredStrategy", "more-than-one-device"),
    ],
)
def test_a_name_leads_to_its_topic(text, name):
    assert find_topic(text).name == name


def test_an_unknown_topic_lists_what_there_is():
    with pytest.raises(UserError, match=r"BatchNormalization.*The topics are load-im"):
        find_topic("BatchNormalisation")
    with pytest.raises(UserError, match=r"no entry D99\. It has D01, D02"):
        find_topic("D99")
