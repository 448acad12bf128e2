"""The test images that a report shows."""

import base64
import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from bench.records import ArmRecord
from bench.run.photos import (
    NUM_DIFFERING,
    NUM_SPREAD,
    THUMBNAIL_PX,
    choose_images,
    make_photos,
)
from shared.data.dataset import Split
from shared.metrics import score


def test_first_image_of_each_class_is_chosen():
    labels = np.repeat(np.arange(8), [5, 1, 30, 2, 2, 2, 9, 4])
    chosen = choose_images(labels, labels[np.newaxis])
    assert chosen == [np.flatnonzero(labels == label)[0] for label in range(8)]


@pytest.mark.parametrize("num_classes", [2, 3, 10, 200])
def test_classes_are_spread_in_their_order(num_classes):
    labels = np.repeat(np.arange(num_classes), 20)
    chosen = choose_images(labels, np.array([labels, labels]))
    shown = labels[chosen]
    assert len(set(chosen)) == NUM_SPREAD
    assert list(shown) == sorted(shown)
    assert {shown[0], shown[-1]} == {0, num_classes - 1}
    assert np.bincount(shown).max() <= -(-NUM_SPREAD // num_classes)


def test_images_on_which_arms_differ_come_last():
    labels = np.repeat(np.arange(10), 20)
    predictions = np.array([labels, labels, labels])
    differing = [3, 50, 51, 90, 120, 199]
    predictions[2, differing] += 1
    chosen = choose_images(labels, predictions)
    last = chosen[NUM_SPREAD:]
    assert len(last) == NUM_DIFFERING
    assert set(last) < set(differing)
    predictions[2] = labels
    predictions[1, 0] += 1  # is the first of its class, and shown once
    assert choose_images(labels, predictions) == chosen[:NUM_SPREAD]


def test_few_images_are_all_shown():
    assert choose_images(np.array([1, 0, 1]), np.zeros((2, 3))) == [1, 0, 2]


def test_photos_have_the_answers_of_all_tested_arms(tmp_path):
    classes, labels = ("hat", "shirt"), np.array([0, 0, 1, 1, 1])
    images = np.random.default_rng(2).integers(256, size=(5, 224, 224, 3), dtype="u1")
    files = tuple(f"{classes[label]}/{i}.jpg" for i, label in enumerate(labels))
    test = Split(images, labels, files)
    data = SimpleNamespace(splits={"test": test}, classes=classes)
    run = SimpleNamespace(data=data, arms={}, scratch=tmp_path)
    assert make_photos(run) == []
    for seed, name in enumerate(("pytorch", "keras")):
        logits = np.random.default_rng(seed).normal(size=(5, 2))
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "test_logits.npy", logits)
        scores = score(logits, labels, list(classes))
        run.arms[name] = ArmRecord(status="ok", test=scores)
    run.arms["keras-jax"] = ArmRecord(status="not run: no memory")
    photos = make_photos(run)
    assert photos == make_photos(run)
    assert [photo.file for photo in photos] == list(files)
    for image, photo in enumerate(photos):
        assert photo.label == classes[labels[image]]
        assert list(photo.answers) == ["pytorch", "keras"]
        for name, answer in photo.answers.items():
            assert answer.predicted == classes[run.arms[name].test.predictions[image]]
            assert 0.5 <= answer.probability <= 1
        jpeg = io.BytesIO(base64.b64decode(photo.thumbnail_jpeg))
        assert max(Image.open(jpeg).size) == THUMBNAIL_PX
