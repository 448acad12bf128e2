"""Set-up with uv or pip: pip's settings reach uv, and pip takes over where uv fails."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from install import make_environment, read_pip_settings, translate_settings

PROJECT = Path(__file__).parent.parent
LOCKS = ["requirements.lock", "requirements-oldest.lock"]
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


def write_wheel(folder: Path, name: str, content: str) -> str:
    """Write a wheel with one module; returns its line for a lock."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    about = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}/__init__.py", "")
        wheel.writestr(f"{name}/__main__.py", content)
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
    """A project with one small package, and a folder that is all pip may ask."""
    (tmp_path / "packages").mkdir()
    lines = {
        "setup.lock": write_wheel(tmp_path / "packages", "uv", FAKE_UV),
        "requirements.lock": write_wheel(tmp_path / "packages", "small", ""),
    }
    for name, line in lines.items():
        (tmp_path / name).write_text(line)
    pip_alone.setenv("PIP_NO_INDEX", "1")
    pip_alone.setenv("PIP_FIND_LINKS", str(tmp_path / "packages"))
    pip_alone.setenv("SEEN", str(tmp_path / "seen.json"))
    return tmp_path


def install(project: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(PROJECT / "install.py"), ".venv", *arguments]
    return subprocess.run(
        command, cwd=project, capture_output=True, text=True, check=False
    )


def has_package(project: Path) -> bool:
    command = [project / ".venv/bin/python", "-m", "small"]
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


@pytest.mark.parametrize(
    ("target", "folder", "lock"),
    [("setup", ".venv", LOCKS[0]), ("test-oldest", ".venv-oldest", LOCKS[1])],
)
def test_each_environment_has_its_lock(tmp_path, target, folder, lock):
    for name in ("setup.lock", "weights.lock", *LOCKS):
        (tmp_path / name).touch()
    command = ["make", "-n", "-f", PROJECT / "Makefile", target]
    alone = {n: v for n, v in os.environ.items() if not n.startswith("MAKE")}
    done = subprocess.run(
        command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=True
    )
    assert f"install.py --installer uv --lock {lock} {folder}\n" in done.stdout


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_is_within_the_ranges(lock):
    found = dict(
        line.split(" ")[0].split("==")
        for line in (PROJECT / lock).read_text().splitlines()
        if "==" in line and line[0].isalpha()
    )
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
