"""Runs the fast tests in an environment of every Python that is here, and of the oldest and newest packages.

Command: `make environments`, or `python tests/environments.py --only 3.11-oldest -- tests/test_fd_step.py`.

Each environment is a folder of its own under `results/environments`, made anew if `pyproject.toml` changed.
`newest` is the latest of every package, `oldest` the lowest that `pyproject.toml` allows and that there is for
the Python, as uv resolves them. A Python that is not here is passed over, and the table says so. With the
oldest packages a warning is no error: they warn of each other.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from quick_flags import quick_flags

ROOT = Path(__file__).parents[1]
PYTHONS, PACKAGES = ("3.11", "3.12", "3.13"), ("newest", "oldest")
BUILT = ("matplotlib", "numpy", "pillow", "scikit-learn", "scipy")
"""Taken as they are published for the Python: those older than it could not be built here."""
REPORTED = ("jax", "flax", "optax", "chex", "evosax", "orbax-checkpoint", "numpy")
"""What the engine stands on."""
RESOLUTION = {"newest": "highest", "oldest": "lowest-direct"}


def works(command: list[str]) -> bool:
    """Returns whether a command is there and succeeds."""
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def interpreter(version: str) -> str | None:
    """Returns the command of a Python, None where it is not here."""
    name = f"python{version}"
    installed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for command in (name, *map(str, installed)):
        if works([command, "-c", "import sys, venv"]):
            return command
    return None


def made(folder: Path, python: str, packages: str, uv: str) -> Path:
    """Returns the Python of an environment, which is made where it is not there or out of date."""
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    note, inside = folder / "made-of", folder / "bin" / "python"
    if note.is_file() and note.read_text() == wanted:
        return inside
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", str(inside), "--resolution", RESOLUTION[packages]]
    built = [word for package in BUILT for word in ("--only-binary", package)]
    subprocess.run([*install, *built, "--editable", f"{ROOT}[dev]"], check=True)
    note.write_text(wanted)
    return inside


def version_in(python: Path, package: str) -> str:
    """Returns the version of a package of an environment."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def tested(name: str, folder: Path, uv: str, arguments: list[str]) -> list[str]:
    """Returns a row: the environment, how its tests ended, and its versions."""
    version, packages = name.split("-")
    found = interpreter(version)
    if found is None:
        return [name, "not here", ""]
    try:
        python = made(folder / name, found, packages, uv)
    except subprocess.CalledProcessError as error:
        return [name, f"not installable: {error}", ""]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment["XLA_FLAGS"] = quick_flags(version_in(python, "jax"))
    command = [str(python), "-m", "pytest", *(arguments or ["--numprocesses", "2", "--dist", "loadfile"])]
    command += ["-W", "default"] if packages == "oldest" else []
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        lines = [line.rstrip() for line in process.stdout or () if print(line, end="") or line.strip()]
    found_there = ", ".join(f"{package} {version_in(python, package)}" for package in REPORTED)
    return [name, lines[-1].strip("= ") if lines else f"exit {process.returncode}", found_there]


def main() -> None:
    """Tests all environments, or some, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = [f"{python}-{packages}" for python in PYTHONS for packages in PACKAGES]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--folder", type=Path, default=ROOT / "results" / "environments")
    parser.add_argument("pytest", nargs="*", help="after --: arguments of pytest")
    chosen = parser.parse_args()
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    if not works([uv, "--version"]):
        sys.exit("uv is missing: python -m pip install uv")
    rows = [tested(name, chosen.folder, uv, chosen.pytest) for name in chosen.only]
    print("| environment | fast tests | versions |\n| --- | --- | --- |")
    print("\n".join(f"| {' | '.join(row)} |" for row in rows))
    sys.exit(any(" failed" in row[1] or "error" in row[1] or row[1].startswith("not inst") for row in rows))


if __name__ == "__main__":
    main()
