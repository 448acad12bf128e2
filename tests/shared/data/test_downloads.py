"""Downloads from a server that breaks off, ignores ranges, lies or is not there."""

import hashlib
import http.server
import io
import threading
import zipfile

import numpy as np
import pytest
from PIL import Image

from shared.data import downloads
from shared.data.cache import digest_files, fingerprint
from shared.data.dataset import scan_folder
from shared.data.downloads import (
    NoNetwork,
    download,
    download_dataset,
    download_weights,
)
from shared.errors import UserError

CONTENT = np.random.default_rng(0).bytes(1_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def quiet(*_progress) -> None:
    pass


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` at /file, after breaking off `breaks` times half-way."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.breaks, self.knows_ranges = CONTENT, 0, True
        self.ranges: list[str | None] = []  # of each request
        self.url = f"http://127.0.0.1:{self.server_port}/file"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        wanted = self.headers["Range"]
        self.server.ranges.append(wanted)
        if self.path != "/file":
            return self.send_error(404)
        start = 0
        if wanted and self.server.knows_ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        body = self.server.content[start:]
        if not body:
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body)}/9")
        self.end_headers()
        if self.server.breaks:
            self.server.breaks -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)
        return None

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "downloads/file.bin"


def part_of(target):
    return target.with_name("file.bin.part")


def assert_asked_to_go_on(ranges: list[str | None]) -> None:
    first, second = ranges
    assert first is None
    start = int(second.removeprefix("bytes=").removesuffix("-"))
    assert len(CONTENT) // 3 < start <= len(CONTENT) // 2


def test_whole_file_with_progress_and_only_once(server, target):
    reports = []
    assert download(server.url, target, SHA256, lambda *r: reports.append(r)) == target
    assert target.read_bytes() == CONTENT
    assert reports[-1] == ("Downloading file.bin", len(CONTENT), len(CONTENT))
    assert not part_of(target).exists()
    download(server.url, target, SHA256, quiet)
    assert len(server.ranges) == 1


def test_a_broken_connection_is_resumed_where_it_broke(server, target):
    server.breaks = 1
    download(server.url, target, SHA256, quiet)
    assert_asked_to_go_on(server.ranges)
    assert target.read_bytes() == CONTENT


def test_a_later_run_goes_on_after_many_breaks(server, target):
    server.breaks = downloads.ATTEMPTS
    with pytest.raises(UserError, match="broke 4 times") as caught:
        download(server.url, target, SHA256, quiet)
    assert not isinstance(caught.value, NoNetwork)
    kept = part_of(target).stat().st_size
    assert 0 < kept < len(CONTENT)
    assert not target.exists()
    download(server.url, target, SHA256, quiet)
    assert server.ranges[-1] == f"bytes={kept}-"
    assert target.read_bytes() == CONTENT


def test_a_server_without_ranges_starts_anew(server, target):
    server.breaks, server.knows_ranges = 1, False
    download(server.url, target, SHA256, quiet)
    assert_asked_to_go_on(server.ranges)
    assert target.read_bytes() == CONTENT


def test_a_part_as_long_as_the_file_starts_anew(server, target):
    target.parent.mkdir()
    part_of(target).write_bytes(b"x" * len(CONTENT))
    download(server.url, target, SHA256, quiet)
    assert server.ranges == [f"bytes={len(CONTENT)}-", None]
    assert target.read_bytes() == CONTENT


def test_the_head_of_a_checksum_is_enough(server, target):
    assert download(server.url, target, SHA256[:8], quiet).is_file()


def test_wrong_checksum_names_both_and_keeps_nothing(server, target):
    with pytest.raises(UserError, match=f"SHA-256 is {SHA256}, expected abad1dea"):
        download(server.url, target, "abad1dea", quiet)
    assert not target.exists()
    assert not part_of(target).exists()


def test_http_error_is_not_taken_for_a_missing_network(server, target):
    with pytest.raises(UserError, match=r"HTTP 404 Not Found.*--data") as caught:
        download(f"{server.url}-gone", target, None, quiet)
    assert not isinstance(caught.value, NoNetwork)


@pytest.mark.parametrize("host", ["127.0.0.1:9", "no-such-host.invalid"])
def test_no_network(host, target):
    with pytest.raises(NoNetwork, match=r"no connection \(\[Errno [^)]+\)\. Try"):
        download(f"http://{host}/file", target, None, quiet)


def test_a_silent_host_is_given_up_and_the_next_one_sooner(server, target, monkeypatch):
    monkeypatch.setattr(downloads, "_unreachable", threading.Event())
    monkeypatch.setattr(downloads, "ANSWER_S", 0.2)
    monkeypatch.setattr(downloads, "HURRIED_S", 0.1)
    monkeypatch.setattr(Handler, "do_GET", lambda _: threading.Event().wait(0.5))
    for limit_s in (0.2, 0.1):
        with pytest.raises(NoNetwork, match=f"no answer within {limit_s} s"):
            download(server.url, target, None, quiet)


def test_weights_are_checked_where_a_checksum_is_published(
    server, tmp_path, monkeypatch
):
    assert downloads.WEIGHTS["torchvision"][1] in downloads.WEIGHTS["torchvision"][0]
    monkeypatch.setitem(downloads.WEIGHTS, "keras", (server.url, None))
    assert download_weights("keras", tmp_path, quiet).read_bytes() == CONTENT
    monkeypatch.setitem(downloads.WEIGHTS, "torchvision", (server.url, "b0353104"))
    (tmp_path / "downloads/file").unlink()
    with pytest.raises(UserError, match="expected b0353104"):
        download_weights("torchvision", tmp_path, quiet)


def zip_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def archive(server, tmp_path, monkeypatch) -> dict[str, bytes]:
    """The files of a small archive; the server and the pinned fingerprint fit it."""
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "PNG")
    names = [f"{split}/hat/a.png" for split in ("train", "validation", "test")]
    (tmp_path / "plain").mkdir()
    for name in names:
        path = tmp_path / "plain" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(picture.getvalue())
    files = {f"repository-1196/{name}": picture.getvalue() for name in names}
    files["repository-1196/LICENSE"] = b"CC0"
    expected = fingerprint(digest_files(downloads._images(tmp_path / "plain"), quiet))
    monkeypatch.setattr(downloads, "DATASET_FINGERPRINT", expected)
    monkeypatch.setattr(downloads, "DATASET_URL", server.url)
    server.content = zip_of(files)
    return files


def test_data_set_is_unpacked_once_and_the_archive_removed(server, archive, tmp_path):
    folder = download_dataset(tmp_path / "cache", quiet)
    inside = {
        p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()
    }
    assert inside == {name.partition("/")[2] for name in archive}
    assert not list((tmp_path / "cache/downloads").glob("*.zip"))
    assert download_dataset(tmp_path / "cache", quiet) == folder
    assert len(server.ranges) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"repository-1196/train/hat/a.png": b"other"}, "fingerprint .* expected"),
        ({"repository-1196/train/hat/b.png": b"added"}, "fingerprint .* expected"),
        ({"repository-1196/zeros": bytes(5000)}, "unpacks to .* are allowed"),
    ],
)
def test_an_unexpected_archive_leaves_nothing(
    server, archive, tmp_path, monkeypatch, change, message
):
    monkeypatch.setattr(downloads, "MAX_EXTRACTED_BYTES", 4000)
    server.content = zip_of(archive | change)
    with pytest.raises(UserError, match=message):
        download_dataset(tmp_path / "cache", quiet)
    left = {path.name for path in (tmp_path / "cache").iterdir()}
    assert left == {"downloads", ".lock"}
    assert not list((tmp_path / "cache/downloads").glob("*.zip"))


def test_no_name_in_an_archive_leads_out_of_the_folder(server, archive, tmp_path):
    server.content = zip_of(archive | {"repository-1196/../../../evil": b""})
    folder = download_dataset(tmp_path / "cache", quiet)
    assert all(folder in path.parents for path in tmp_path.rglob("evil"))


def test_no_zip_file(server, archive, tmp_path):
    server.content = b"<html>log in to this network</html>"
    with pytest.raises(UserError, match="no sound zip file"):
        download_dataset(tmp_path / "cache", quiet)
    server.content = zip_of(archive)
    assert download_dataset(tmp_path / "cache", quiet).is_dir()


def test_the_pinned_fingerprint_is_that_of_the_real_photos(photos):
    found = fingerprint(digest_files(scan_folder(photos), quiet))
    assert found == downloads.DATASET_FINGERPRINT
