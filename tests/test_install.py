"""Set-up with uv or pip: pip's settings reach uv, and pip takes over where uv fails."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from unittest.mock import Mock

import pytest
from packaging.requirements import Requirement

from install import (
    ADDITIONS,
    find_cuda,
    install_packages,
    main,
    make_environment,
    read_pip_settings,
    translate_settings,
)

PROJECT = Path(__file__).parent.parent
LOCKS = ["requirements.lock", "requirements-oldest.lock"]
CUDA_LOCKS = [addition.lock for addition in ADDITIONS.values()]
# PyTorch's packages and TensorFlow's both have this file.
CUDNN = "nvidia/cudnn/lib/libcudnn.so.9"
TENSORFLOWS = f".venv/tensorflow-cuda/{CUDNN}"
# Stands in for uv: writes down how it was called, and installs nothing.
FAKE_UV = """
import json, os, pathlib, sys
seen = {"arguments": sys.argv[1:], "variables": dict(os.environ)}
pathlib.Path(os.environ["SEEN"]).write_text(json.dumps(seen))
sys.exit(int(os.environ.get("UV_FAILS", "0")))
"""
OTHERS = "SSL_CERT_FILE", "PYTHONDONTWRITEBYTECODE"


@pytest.fixture
def pip_alone(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No settings of pip or uv but those that a test makes."""
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")) or name in OTHERS:
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return monkeypatch


def write_wheel(folder: Path, name: str, content: str, cudnn: str = "") -> str:
    """Write a wheel with one module and one library; returns its line for a lock."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    about = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}/__init__.py", "")
        wheel.writestr(f"{name}/__main__.py", content)
        if cudnn:
            wheel.writestr(CUDNN, cudnn)
        head = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        wheel.writestr(f"{about}/METADATA", head)
        wheel.writestr(
            f"{about}/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{about}/RECORD", "")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{name}==1.0 --hash=sha256:{digest}\n"


@pytest.fixture
def project(tmp_path, pip_alone) -> Path:
    """A project of small packages, and a folder that is all pip may ask."""
    packages = tmp_path / "packages"
    packages.mkdir()
    lines = {
        "setup.lock": write_wheel(packages, "uv", FAKE_UV),
        "requirements.lock": write_wheel(packages, "small", "", cudnn="of PyTorch"),
        "tensorflow-cuda.lock": write_wheel(packages, "twelve", "", "of TensorFlow"),
        "jax-cuda.lock": write_wheel(packages, "plugin", ""),
    }
    for name, line in lines.items():
        (tmp_path / name).write_text(line)
    pip_alone.setenv("PIP_NO_INDEX", "1")
    pip_alone.setenv("PIP_FIND_LINKS", str(packages))
    pip_alone.setenv("SEEN", str(tmp_path / "seen.json"))
    return tmp_path


def install(project: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(PROJECT / "install.py"), ".venv", *arguments]
    return subprocess.run(
        command, cwd=project, capture_output=True, text=True, check=False
    )


def has_package(project: Path, name: str = "small") -> bool:
    command = [project / ".venv/bin/python", "-m", name]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_settings_come_from_files_and_variables(tmp_path, pip_alone):
    file = tmp_path / "pip.conf"
    file.write_text(
        "[global]\nindex_url = https://mirror/simple\ncert = /etc/ca.pem\n"
        "find-links =\n    /wheels\n    /more\n"
        "[install]\nindex-url = https://inner/simple\n[list]\nformat = columns\n"
    )
    pip_alone.setenv("PIP_CONFIG_FILE", str(file))
    pip_alone.setenv("PIP_EXTRA_INDEX_URL", "https://a/simple https://b/simple")
    pip_alone.setenv("PIP_CERT", "")  # pip ignores what is empty
    pip_alone.setenv("PIP_QUIET", "2")
    assert translate_settings(read_pip_settings(Path(sys.executable))) == {
        "UV_DEFAULT_INDEX": "https://inner/simple",
        "UV_INDEX": "https://a/simple https://b/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/wheels,/more",
        "SSL_CERT_FILE": "/etc/ca.pem",
    }


@pytest.mark.parametrize("lock", LOCKS)
def test_uv_gets_the_lock_and_pips_settings(project, pip_alone, lock):
    pip_alone.setenv("UV_INDEX", "https://own/simple")  # a user's own word to uv stays
    pip_alone.setenv("PIP_EXTRA_INDEX_URL", "https://a/simple")
    done = install(project, "--lock", lock)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 GB of disk" in done.stdout
    seen = json.loads((project / "seen.json").read_text())
    python = ".venv/bin/python"
    assert seen["arguments"] == [
        *("pip", "install", "--require-hashes", "-r", lock),
        *("--python", python, "--no-index"),
    ]
    assert seen["variables"]["UV_FIND_LINKS"] == str(project / "packages")
    assert seen["variables"]["UV_INDEX"] == "https://own/simple"
    assert seen["variables"]["UV_CACHE_DIR"] == ".venv/uv-cache"


def test_packages_are_compiled_where_python_would_not_keep_it(project, pip_alone):
    pip_alone.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert install(project).returncode == 0
    seen = json.loads((project / "seen.json").read_text())
    assert seen["arguments"][-1] == "--no-index"
    assert "--compile-bytecode" in seen["arguments"]


@pytest.mark.parametrize(
    ("name", "value", "uv_runs"),
    [("UV_FAILS", "2", True), ("PIP_KEYRING_PROVIDER", "subprocess", False)],
)
def test_pip_takes_over(project, pip_alone, name, value, uv_runs):
    pip_alone.setenv(name, value)
    done = install(project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert has_package(project)
    assert (project / "seen.json").exists() == uv_runs


def test_a_full_disk_is_seen_first(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(SystemExit, match=r"only 1\.0 GB are free there"):
        make_environment(tmp_path / ".venv", "uv", LOCKS[0])
    assert not (tmp_path / ".venv").exists()


def commands_of_make(folder: Path, *arguments: str) -> str:
    """What `make` would run in a folder without an environment."""
    for name in ("setup.lock", "weights.lock", *LOCKS):
        (folder / name).touch()
    command = ["make", "-n", "-f", PROJECT / "Makefile", *arguments]
    alone = {n: v for n, v in os.environ.items() if not n.startswith("MAKE")}
    done = subprocess.run(
        command, cwd=folder, env=alone, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize(
    ("target", "folder", "lock"),
    [("setup", ".venv", LOCKS[0]), ("test-oldest", ".venv-oldest", LOCKS[1])],
)
def test_each_environment_has_its_lock(tmp_path, target, folder, lock):
    commands = commands_of_make(tmp_path, target)
    assert f"install.py --installer uv --lock {lock} {folder}\n" in commands


@pytest.mark.parametrize(
    ("target", "prepares"), [("bench", True), ("setup", True), ("test", False)]
)
def test_what_a_gpu_needs_is_not_installed_for_tests(tmp_path, target, prepares):
    commands = commands_of_make(tmp_path, target, "ARGS=--device cpu")
    step = "install.py --gpu --installer uv .venv --device cpu\n"
    assert (step in commands) == prepares


def read_lock(lock: str) -> dict[str, str]:
    """The version of each package of a lock."""
    return dict(
        line.split(" ")[0].split("==")
        for line in (PROJECT / lock).read_text().splitlines()
        if "==" in line and line[0].isalpha()
    )


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_is_within_the_ranges(lock):
    found = read_lock(lock)
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    needed = project["dependencies"] + project["optional-dependencies"]["dev"]
    for need in map(Requirement, needed):
        assert found[need.name] in need.specifier, need
        if lock == LOCKS[1]:
            (lowest,) = (p.version for p in need.specifier if p.operator == ">=")
            assert found[need.name].startswith(lowest), need


def test_make_clean_takes_the_environment_away_and_says_what_stays(tmp_path):
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\ncd {PROJECT} && exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (tmp_path / ".venv-oldest").mkdir()
    command = ["make", "-f", PROJECT / "Makefile", "clean"]
    # A make that is run by `make test` says more.
    alone = {n: v for n, v in os.environ.items() if not n.startswith("MAKE")}
    for said in ("Kept: reports/, and images and weights in ", ""):
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=alone,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith(said)
        assert not done.stderr
        assert not list(tmp_path.glob(".venv*"))


def test_a_package_of_another_hash_is_refused(project):
    write_wheel(project / "packages", "small", "print('forged')")
    done = install(project, "--installer", "pip")
    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert "could not be installed" in done.stderr
    assert "Traceback" not in done.stderr
    assert not has_package(project)


def test_a_package_index_that_is_down(project, pip_alone):
    pip_alone.delenv("PIP_NO_INDEX")
    pip_alone.delenv("PIP_FIND_LINKS")
    pip_alone.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    pip_alone.setenv("PIP_RETRIES", "0")
    done = install(project)
    assert done.returncode == 1
    assert "could not be installed, see above" in done.stderr
    assert "Traceback" not in done.stderr


class FakeDriver:
    """Stands in for libcuda.so.1."""

    def __init__(self, version: int, num_gpus: int = 1, failure: int = 0) -> None:
        self.version, self.num_gpus, self.failure = version, num_gpus, failure

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return flags or self.failure

    def cuDeviceGetCount(self, count) -> int:  # noqa: N802
        count._obj.value = self.num_gpus
        return 0

    def cuDriverGetVersion(self, version) -> int:  # noqa: N802
        version._obj.value = self.version
        return 0


@pytest.mark.parametrize(
    ("driver", "version"),
    [
        (FakeDriver(13_000), 13_000),
        (FakeDriver(12_040), 12_040),
        (FakeDriver(13_000, num_gpus=0), 0),
        (FakeDriver(13_000, failure=100), 0),  # e.g. CUDA_VISIBLE_DEVICES is empty
    ],
)
def test_the_driver_says_whether_there_is_a_gpu(monkeypatch, driver, version):
    asked = []
    monkeypatch.setattr("ctypes.CDLL", lambda name: asked.append(name) or driver)
    assert find_cuda() == version
    assert asked == ["libcuda.so.1"]


def test_a_machine_without_a_driver_has_no_gpu(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", Mock(side_effect=OSError("no such file")))
    assert find_cuda() == 0


@pytest.fixture(scope="module")
def bare_environment(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bare") / ".venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder


@pytest.fixture
def installed(project, pip_alone, bare_environment) -> Path:
    """A project whose environment has been made, without anything for a GPU."""
    pip_alone.chdir(project)
    shutil.copytree(bare_environment, ".venv", symlinks=True)
    install_packages(Path(".venv"), "pip", "requirements.lock")
    return project


@pytest.fixture
def prepare(project, pip_alone, capfd) -> Callable[..., str]:
    """`install.py --gpu` on a machine with a GPU; returns what it printed."""
    pip_alone.chdir(project)
    pip_alone.setattr("platform.machine", lambda: "x86_64")

    def prepare(*options: str, cuda: int = 13_000, installer: str = "pip") -> str:
        pip_alone.setattr("install.find_cuda", lambda: cuda)
        arguments = "--gpu", "--installer", installer, ".venv", *options
        pip_alone.setattr("sys.argv", ["install.py", *arguments])
        capfd.readouterr()
        main()
        return capfd.readouterr().out

    return prepare


def test_both_frameworks_keep_their_files(installed, prepare):
    said = prepare("--epochs", "1", "--data", "my images")
    assert said.startswith(
        "NVIDIA GPU found. For the arm keras: TensorFlow's CUDA 12 libraries, 2.9 GB "
        "to download and 4.5 GB of disk."
    )
    (pytorchs,) = installed.glob(f".venv/lib/*/site-packages/{CUDNN}")
    assert pytorchs.read_text() == "of PyTorch"
    assert (installed / TENSORFLOWS).read_text() == "of TensorFlow"
    assert not has_package(installed, "twelve")  # no other process sees it
    assert not has_package(installed, "plugin")
    assert prepare() == ""  # it is there


def test_jax_gets_its_plugin_where_it_is_asked_for(installed, prepare):
    assert "For the arm keras-jax: JAX" in prepare("--arms=pytorch,keras-jax")
    assert has_package(installed, "plugin")
    assert not (installed / TENSORFLOWS).exists()
    assert prepare("--arms", "pytorch,keras-jax") == ""


@pytest.mark.parametrize(
    ("options", "cuda", "said"),
    [
        ((), 0, ""),
        (("--device", "cpu"), 13_000, ""),
        (("--limit", "9", "--device=cpu"), 13_000, ""),
        (("--arms", "pytorch,keras-torch"), 13_000, ""),
        ((), 12_040, "serves CUDA 12.4, and PyTorch's packages need 13.0"),
    ],
)
def test_nothing_is_installed_without_need(project, prepare, options, cuda, said):
    printed = prepare(*options, cuda=cuda)
    assert said in printed
    assert bool(said) == bool(printed)
    assert not (project / ".venv").exists()


def test_a_machine_that_tensorflow_has_no_cuda_code_for(prepare, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert prepare() == ""


@pytest.mark.parametrize("spoil", ["interrupt", "change the lock"])
def test_what_is_half_or_old_is_installed_again(installed, prepare, spoil):
    prepare()
    (installed / TENSORFLOWS).write_text("half")
    (installed / ".venv/tensorflow-cuda/left-over").touch()
    if spoil == "interrupt":
        (installed / ".venv/tensorflow-cuda.lock").unlink()
    else:
        with (installed / "tensorflow-cuda.lock").open("a") as lock:
            lock.write("# newer\n")
    assert "TensorFlow" in prepare()
    assert (installed / TENSORFLOWS).read_text() == "of TensorFlow"
    assert not (installed / ".venv/tensorflow-cuda/left-over").exists()
    assert prepare() == ""


def test_a_failed_installation_is_not_taken_for_done(installed, prepare):
    write_wheel(installed / "packages", "twelve", "print('forged')")
    for _ in range(2):
        with pytest.raises(SystemExit, match="could not be installed"):
            prepare()
        assert not (installed / ".venv/tensorflow-cuda.lock").exists()


def test_uv_installs_into_the_folder(installed, prepare):
    prepare(installer="uv")
    seen = json.loads((installed / "seen.json").read_text())
    assert seen["arguments"] == [
        *("pip", "install", "--require-hashes", "-r", "tensorflow-cuda.lock"),
        *("--no-deps", "--target", ".venv/tensorflow-cuda"),
        *("--python", ".venv/bin/python", "--no-index"),
    ]


def test_tensorflows_lock_is_its_extra():
    found, theirs = read_lock("tensorflow-cuda.lock"), read_lock("requirements.lock")
    needs = map(Requirement, metadata.requires("tensorflow"))
    needed = {need.name: need.specifier for need in needs if "-cu12" in need.name}
    assert needed.keys() == found.keys()
    for name, specifier in needed.items():
        assert found[name] in specifier, name
    # Both arms compute with the same release of cuDNN.
    assert found["nvidia-cudnn-cu12"] == theirs["nvidia-cudnn-cu13"]
    # No package of this lock may be among the others.
    assert not found.keys() & (theirs.keys() | read_lock("jax-cuda.lock").keys())


def read_pins(lock: str, package: str) -> set[str]:
    """The versions of a package of a lock, with the Pythons that they are for."""
    lines = (PROJECT / lock).read_text().splitlines()
    return {line.removeprefix(package) for line in lines if f"{package}==" in line}


def test_jaxs_lock_fits_the_other_packages():
    found, theirs = read_lock("jax-cuda.lock"), read_lock("requirements.lock")
    assert not found.keys() & theirs.keys()
    for part in ("jax-cuda13-plugin", "jax-cuda13-pjrt"):
        assert read_pins("jax-cuda.lock", part) == read_pins(LOCKS[0], "jaxlib")
    assert theirs["jaxlib"]


@pytest.mark.parametrize("lock", [*LOCKS, *CUDA_LOCKS, "setup.lock"])
def test_every_package_of_a_lock_has_hashes_and_no_address(lock):
    text = (PROJECT / lock).read_text()
    assert "://" not in text
    for entry in re.split(r"\n(?=\w)", text.strip()):
        assert "--hash=sha256:" in entry, entry


def test_no_library_of_this_environment_belongs_to_two_packages():
    """Of two packages with a file of the same name, the last one installed wins."""
    owners: dict[str, list[str]] = {}
    for package in metadata.distributions():
        name = package.metadata["Name"]
        for line in (package.read_text("RECORD") or "").splitlines():
            file = line.split(",")[0]
            if ".so" in Path(file).name:
                owners.setdefault(file, []).append(name)
    assert len(owners) > 100
    assert not {file: names for file, names in owners.items() if len(names) > 1}
