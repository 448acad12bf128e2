"""Make a virtual environment: `make setup` and `make test-oldest` run this file.

uv installs the packages of a lock file, since it is much faster than pip. It does
not read pip's settings, so this file passes them on. Where pip's settings say what uv
cannot do, where uv fails, or where pip is asked for, pip does the work.

This file needs nothing but Python's standard library.
"""

import argparse
import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

DISK_GB = 9
PLAN = (
    f"Set-up: about 3 GB to download and {DISK_GB} GB of disk for {{folder}}; two to "
    "five minutes on a fast network. `make clean` takes it away again."
)
HASHED = ("install", "--require-hashes", "-r")

# pip's options, and the variables that tell uv the same.
UV_VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
}
# pip's options that change nothing about what is installed.
HARMLESS = {
    "break-system-packages",
    "cache-dir",
    "config-file",
    "disable-pip-version-check",
    "no-cache-dir",
    "no-color",
    "no-index",  # passed on as an option
    "no-input",
    "no-python-version-warning",
    "no-warn-script-location",
    "prefer-binary",
    "progress-bar",
    "quiet",
    "require-virtualenv",
    "retries",
    "root-user-action",
    "verbose",
}


def read_pip_settings(python: Path) -> dict[str, str]:
    """pip's settings by option, from its files and from variables, which go first."""
    command = [python, "-m", "pip", "config", "list"]
    loud = os.environ | {"PIP_QUIET": "0"}  # a quiet pip would list nothing
    done = subprocess.run(
        command, env=loud, stdout=subprocess.PIPE, text=True, check=False
    )
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in done.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.partition(".")
        if section in sections and ast.literal_eval(value):
            sections[section][option] = ast.literal_eval(value)
    return sections["global"] | sections["install"] | sections[":env:"]


def translate_settings(settings: dict[str, str]) -> dict[str, str]:
    """Variables that tell uv where pip looks for packages, and how it gets there."""
    variables = {}
    for option, value in settings.items():
        if option in UV_VARIABLES:
            separator = "," if option == "find-links" else " "
            variables[UV_VARIABLES[option]] = separator.join(value.split())
    if "extra-index-url" in settings:
        # As pip does: the pinned version from whichever index has it.
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return variables


def run(*command: str | Path, **variables: str) -> bool:
    """Run a command whose output the user sees; returns whether it worked."""
    environment = os.environ | variables
    return subprocess.run(command, env=environment, check=False).returncode == 0


def install_with_uv(folder: Path, lock: str) -> bool:
    """Install uv, and with it the packages; returns whether both worked."""
    python, cache = folder / "bin/python", folder / "uv-cache"
    settings = read_pip_settings(python)
    if foreign := sorted(settings.keys() - UV_VARIABLES.keys() - HARMLESS):
        print(f"pip's settings say {', '.join(foreign)}, which uv would not follow.")
        return False
    if not run(python, "-m", "pip", *HASHED, "setup.lock", "--retries", "1"):
        return False
    # In its usual place uv's cache would outlive `make clean`, with all the packages.
    variables = translate_settings(settings) | {"UV_CACHE_DIR": str(cache)}
    variables = {n: v for n, v in variables.items() if n not in os.environ}
    command = [python, "-m", "uv", "pip", *HASHED, lock]
    command += ["--python", python]
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):  # as in many containers
        # Otherwise every process would compile the frameworks anew.
        command += ["--compile-bytecode"]
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        command += ["--no-index"]
    if not run(*command, **variables):
        return False
    shutil.rmtree(cache, ignore_errors=True)
    return True


def make_environment(folder: Path, installer: str, lock: str) -> None:
    """Make the environment, or bring it up to date; exits where that fails."""
    print(PLAN.format(folder=folder), flush=True)
    free = shutil.disk_usage(folder.absolute().parent).free
    if not folder.exists() and free < DISK_GB * 1e9:
        sys.exit(f"{folder}: only {free / 1e9:.1f} GB are free there.")
    if not run(sys.executable, "-m", "venv", folder):
        sys.exit(f"{folder}: Python could not make a virtual environment, see above.")
    if installer == "uv":
        if install_with_uv(folder, lock):
            return
        print("pip installs instead, which takes longer.", flush=True)
    if not run(folder / "bin/python", "-m", "pip", *HASHED, lock):
        sys.exit(
            "The packages could not be installed, see above. `pip config list` shows "
            "which package index was asked. Run the same command again to go on."
        )


def main() -> None:
    """Parse the arguments, and make the environment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--installer", choices=("uv", "pip"), default="uv")
    parser.add_argument("--lock", default="requirements.lock")
    arguments = parser.parse_args()
    try:
        make_environment(arguments.folder, arguments.installer, arguments.lock)
    except KeyboardInterrupt:
        sys.exit("Interrupted. Run the same command again to go on.")


if __name__ == "__main__":
    main()
