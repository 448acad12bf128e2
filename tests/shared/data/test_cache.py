"""The decode cache under change, bad images, damage, two runs at once, and a kill."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image

from shared.data import cache as decode_cache
from shared.data.cache import (
    decode_files,
    digest_files,
    fingerprint,
    open_entry,
)
from shared.data.dataset import scan_folder
from shared.data.images import decode_image
from shared.errors import UserError

ROOT = Path(__file__).parents[3]
SIZE_PX = 32
IMAGES = ("b.png", "a.png", "c.png")

# Builds the entry; with 'stall' it stops at the first progress report of the decoding.
BUILDER = f"""
import sys, time
from pathlib import Path
from shared.data.cache import decode_files, digest_files, fingerprint
from shared.data.dataset import scan_folder

def progress(description, done, total):
    print(description, flush=True)
    if sys.argv[3] == "stall" and description.startswith("Decoding test"):
        time.sleep(60)

files = scan_folder(Path(sys.argv[1]))
digests = digest_files(files, lambda *_: None)
entry = decode_files(files, {SIZE_PX}, fingerprint(digests), Path(sys.argv[2]),
                     skip_bad_images=False, progress=progress)
print(entry)
"""


@pytest.fixture
def data(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    for split in ("train", "validation", "test"):
        for label in ("t-shirt", "hat"):
            folder = tmp_path / "data" / split / label
            folder.mkdir(parents=True)
            for name in IMAGES:
                pixels = rng.integers(0, 256, (40, 25, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / name)
    return tmp_path / "data"


def build(
    data: Path, *, skip_bad_images=False, reports: list | None = None, **options
) -> Path:
    """Entry for `data`; what was decoded for it goes to `reports`."""

    def progress(description, _done, _total):
        if reports is not None and description.startswith("Decoding"):
            reports.append(description)

    files = scan_folder(data)
    return decode_files(
        files,
        SIZE_PX,
        fingerprint(digest_files(files, progress)),
        data.parent / "cache",
        skip_bad_images=skip_bad_images,
        progress=progress,
        **options,
    )


def start_builder(data: Path, mode: str = "") -> subprocess.Popen:
    arguments = [sys.executable, "-c", BUILDER, data, data.parent / "cache", mode]
    return subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def wait_for(builder: subprocess.Popen, start: str) -> None:
    for line in builder.stdout:
        if line.startswith(start):
            return
    pytest.fail(f"the builder ended without {start!r}")


def test_entry_holds_every_image_beside_its_name_and_label(data):
    index, arrays = open_entry(build(data))
    assert index["classes"] == ["hat", "t-shirt"]
    for split, images in arrays.items():
        names = index["files"][split]
        assert names == sorted(names)
        assert len(names) == 6
        assert index["labels"][split] == [0, 0, 0, 1, 1, 1]
        for name, image in zip(names, images, strict=True):
            np.testing.assert_array_equal(
                image, decode_image(data / split / name, SIZE_PX)
            )


def test_more_images_than_a_chunk_keep_their_order(data, monkeypatch):
    monkeypatch.setattr(decode_cache, "CHUNK", 4)
    test_entry_holds_every_image_beside_its_name_and_label(data)


def test_second_run_decodes_nothing(data):
    first, second = [], []
    assert build(data, reports=first) == build(data, reports=second)
    assert first
    assert not second


def test_changed_content_gives_another_entry(data):
    before = build(data)
    photo = data / "test/hat/a.png"
    Image.new("RGB", (9, 9), "red").save(photo)
    after = build(data)
    assert after != before
    assert (open_entry(after)[1]["test"][0] == (255, 0, 0)).all()


def test_cropped_images_have_an_entry_of_their_own(data):
    squeezed, cropped = build(data), build(data, resize="crop")
    assert squeezed == build(data, resize="squeeze") != cropped
    index, arrays = open_entry(cropped)
    for name, image in zip(index["files"]["test"], arrays["test"], strict=True):
        expected = decode_image(data / "test" / name, SIZE_PX, "crop")
        np.testing.assert_array_equal(image, expected)
        assert (image != decode_image(data / "test" / name, SIZE_PX)).any()


def test_key_of_squeezed_images_is_that_of_older_entries(data, monkeypatch):
    """A change of it would decode every data set anew."""
    monkeypatch.setattr(PIL, "__version__", "12.0.0")
    files = scan_folder(data)
    entry = decode_files(
        *(files, SIZE_PX, "fingerprint", data.parent / "cache"),
        skip_bad_images=False,
        progress=lambda *_: None,
    )
    key = hashlib.sha256(b'[2, "12.0.0", 32, "fingerprint"]').hexdigest()
    assert entry.name == key[:32]


def test_fingerprint_is_of_names_and_bytes_alone(data, monkeypatch):
    def of(folder):
        return fingerprint(digest_files(scan_folder(folder), lambda *_: None))

    before, entry = of(data), build(data)
    monkeypatch.setattr(PIL, "__version__", "99")
    assert build(data) != entry
    assert of(data) == before
    (data / "validation").rename(data / "val")
    shuffled = {
        split: dict(reversed(f.items())) for split, f in scan_folder(data).items()
    }
    assert fingerprint(digest_files(shuffled, lambda *_: None)) == before
    (data / "test/hat/a.png").rename(data / "test/hat/d.png")
    assert of(data) != before


def test_bad_images_are_listed_together(data):
    (data / "train/hat/a.png").write_bytes(b"")
    (data / "test/t-shirt/b.png").write_text("no image")
    os.mkfifo(data / "test/t-shirt/pipe.png")  # reading it would wait for ever
    with pytest.raises(UserError) as caught:
        build(data)
    lines = str(caught.value).splitlines()
    assert lines[0] == "3 image(s) cannot be decoded:"
    assert lines[1] == "  train/hat/a.png: the file is empty"
    assert lines[2].startswith("  test/t-shirt/b.png: not an image")
    assert lines[3] == "  test/t-shirt/pipe.png: cannot be read: it is no regular file"
    assert "--skip-bad-images" in lines[4]
    left = [path.name for path in (data.parent / "cache/decoded").iterdir()]
    assert left == [".lock"]


def test_a_long_list_is_cut():
    lines = decode_cache.listed(map(str, range(25))).splitlines()
    assert lines[-2:] == ["  19", "  and 5 more"]


def test_bad_images_are_left_out_only_when_asked(data):
    (data / "train/hat/b.png").write_bytes(b"")
    index, arrays = open_entry(build(data, skip_bad_images=True))
    assert index["skipped"] == [["train/hat/b.png", "the file is empty"]]
    assert index["files"]["train"][:2] == ["hat/a.png", "hat/c.png"]
    assert index["labels"]["train"] == [0, 0, 1, 1, 1]
    expected = decode_image(data / "train/hat/c.png", SIZE_PX)
    np.testing.assert_array_equal(arrays["train"][1], expected)
    with pytest.raises(UserError, match=r"train/hat/b.png: the file is empty"):
        build(data)  # the entry is there, yet this run did not ask for it


def test_a_class_with_bad_images_alone_is_an_error(data):
    for name in IMAGES:
        (data / "test/hat" / name).write_bytes(b"")
    with pytest.raises(UserError, match=r"classes are empty:\n  test/hat\n"):
        build(data, skip_bad_images=True)


@pytest.mark.parametrize("damage", ["shorten", "reshape", "index", "missing"])
def test_a_damaged_entry_is_made_again(data, damage):
    entry = build(data)
    array, index = entry / "train.npy", entry / "index.json"
    if damage == "shorten":
        array.write_bytes(array.read_bytes()[:-1])
    elif damage == "reshape":
        np.save(array, np.zeros((5, SIZE_PX, SIZE_PX, 3), np.uint8))
    elif damage == "index":
        index.write_text("{}")
    else:
        array.unlink()
    reports = []
    assert build(data, reports=reports) == entry
    assert reports
    assert open_entry(entry)[1]["train"].shape == (6, SIZE_PX, SIZE_PX, 3)


def test_two_processes_at_once_share_one_build(data):
    builders = [start_builder(data) for _ in range(2)]
    lines = [builder.communicate(timeout=30)[0].splitlines() for builder in builders]
    assert [builder.returncode for builder in builders] == [0, 0]
    assert lines[0][-1] == lines[1][-1]  # the entry
    decoded = [any(line.startswith("Decoding") for line in each) for each in lines]
    assert sorted(decoded) == [False, True]


def test_a_killed_build_is_cleared_away_and_the_waiting_run_takes_over(data):
    decoded = data.parent / "cache/decoded"
    stalled = start_builder(data, "stall")
    wait_for(stalled, "Decoding test")
    half = list(decoded.glob(".building-*"))
    waiting = start_builder(data)
    wait_for(waiting, "Waiting for another run")
    assert len(half) == 1
    assert (half[0] / "train.npy").is_file()
    (decoded / ".building-older").mkdir()  # of a build that was killed before

    stalled.send_signal(signal.SIGKILL)
    stalled.communicate(timeout=30)
    entry = waiting.communicate(timeout=30)[0].splitlines()[-1]
    assert waiting.returncode == 0
    assert open_entry(Path(entry))[0]["classes"] == ["hat", "t-shirt"]
    assert not list(decoded.glob(".building-*"))


def test_too_little_space_is_known_before_decoding(data, monkeypatch):
    usage = shutil.disk_usage(data)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    reports = []
    with pytest.raises(UserError, match=r"0 MiB are free.*BENCH_CACHE"):
        build(data, reports=reports)
    assert not reports


def test_a_disk_that_fills_up_leaves_nothing_behind(data):
    """A limit on file size makes the system refuse the write, as a full disk does."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, limits[1]))
    try:
        with pytest.raises(UserError, match=r"no space is left.*BENCH_CACHE"):
            build(data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    left = [path.name for path in (data.parent / "cache/decoded").iterdir()]
    assert left == [".lock"]
