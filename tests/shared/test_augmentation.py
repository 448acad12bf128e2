"""The augmentation plan keeps its promises for every draw."""

import numpy as np

from shared.augmentation import plan_colors, plan_matrix
from shared.config import make_config


def matrices(**values: object) -> np.ndarray:
    config = make_config(**values)
    return np.stack([plan_matrix(config, 1, index) for index in range(500)])


def test_plan_depends_on_seed_epoch_and_image_alone():
    config = make_config(seed=1)
    np.testing.assert_array_equal(plan_matrix(config, 2, 3), plan_matrix(config, 2, 3))
    others = (
        plan_matrix(config, 2, 4),
        plan_matrix(config, 3, 3),
        plan_matrix(make_config(seed=2), 2, 3),
    )
    for other in others:
        assert (other != plan_matrix(config, 2, 3)).any()


def test_nothing_is_moved_where_every_part_is_off():
    found = matrices(rotation_degrees=0, crop_scale_min=1, flip_probability=0)
    np.testing.assert_allclose(found, np.broadcast_to(np.eye(3)[:2], found.shape))


def test_area_and_angle_stay_within_their_limits():
    found = matrices(flip_probability=0)
    area = np.linalg.det(found[:, :, :2])
    assert area.min() >= 0.9 - 1e-6
    assert area.max() <= 1
    angle = np.rad2deg(np.arctan2(found[:, 1, 0], found[:, 0, 0]))
    assert 9 < np.abs(angle).max() <= 10


def test_crop_lies_inside_the_image():
    found = matrices(rotation_degrees=0, crop_scale_min=0.5)
    corners = np.array([[-1, -1, 1], [1, -1, 1], [-1, 1, 1], [1, 1, 1]]).T
    assert np.abs(found @ corners).max() <= 1 + 1e-6


def test_half_of_the_images_are_mirrored():
    mirrored = np.linalg.det(matrices()[:, :, :2]) < 0
    assert 0.4 < mirrored.mean() < 0.6


def test_color_factors_fill_their_range_and_depend_on_seed_epoch_and_image():
    config = make_config(color_jitter=0.4)
    factors = np.stack([plan_colors(config, 1, index) for index in range(500)])
    assert (factors.shape, factors.dtype) == ((500, 3), np.float32)
    assert 0.6 <= factors.min() < 0.61
    assert 1.39 < factors.max() <= 1.4
    assert np.abs(np.corrcoef(factors.T) - np.eye(3)).max() < 0.2
    others = (
        plan_colors(config, 2, 0),
        plan_colors(config, 1, 1),
        plan_colors(make_config(color_jitter=0.4, seed=1), 1, 0),
    )
    for other in others:
        assert (other != factors[0]).all()


def test_color_plan_leaves_the_matrices_as_they_are():
    """Two programs with and without it move their images alike."""
    np.testing.assert_array_equal(matrices(color_jitter=0.4), matrices())
    assert (plan_colors(make_config(), 1, 0) == 1).all()
