"""Make a virtual environment for the job: what it installs stays in it, what the sandbox has it can import."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import site
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

VERSION = "import sys; print('%d.%d.%d' % sys.version_info[:3])"


def wanted() -> list[str]:
    """Prefixes such as 3.11 in order of preference; empty: any."""
    text = os.environ["IN_VERSION"]
    if not text and (name := os.environ["IN_FILE"]):
        text = Path(os.environ["GITHUB_WORKSPACE"], name).read_text()
    found = [re.match(r"[^\d]*(\d+(?:\.\d+)*)", line.strip()) for line in text.splitlines()]
    return [match[1] for match in found if match]


def version(python: str) -> str:
    if python == sys.executable:
        return platform.python_version()
    return subprocess.run([python, "-c", VERSION], capture_output=True, text=True, check=True).stdout.strip()


def find(prefix: str) -> str | None:
    """A Python of this machine whose version begins with the prefix."""
    short = ".".join(prefix.split(".")[:2])
    for name in (sys.executable, shutil.which(f"python{short}"), shutil.which("python3")):
        if name and f"{known_version(name)}.".startswith(f"{prefix}."):
            return name
    return None


def known_version(python: str) -> str:
    """Empty for what only looks like a Python, such as a shim for a version that is not installed."""
    if python == sys.executable:
        return version(python)
    # A shim of pyenv starts seventy processes to tell its version, so jobs of one sandbox ask it once.
    file = Path(os.environ["GITML_SANDBOX_PYTHONS"])
    known = remembered(file)
    key = f"{python} {os.stat(python).st_mtime_ns}"
    if key not in known:
        try:
            known[key] = version(python)
        except (OSError, subprocess.CalledProcessError):
            known[key] = ""
        own = file.with_name(f"{file.name}.{os.getpid()}")
        own.write_text(json.dumps(known))
        own.replace(file)
    return known[key]


def remembered(file: Path) -> dict[str, str]:
    try:
        return dict(json.loads(file.read_text()))
    except (OSError, ValueError):
        return {}


def choose() -> str:
    asked = wanted()
    for prefix in asked:
        if python := find(prefix):
            return python
    if asked:
        # GitHub would download it. Saying so is better than failing every workflow of an offline machine.
        print(f"::warning::Python {asked[0]} is not on this machine; the sandbox uses {version(sys.executable)}")
    return sys.executable


def make(python: str, folder: Path) -> None:
    if python == sys.executable:
        venv.EnvBuilder(symlinks=True).create(folder)
    else:
        subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True)
    inside = folder / "bin" / "python"
    if version(python).split(".")[:2] == version(sys.executable).split(".")[:2]:
        purelib = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))
        shared = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()])
        lines = (f"import site; site.addsitedir({path!r})\n" for path in shared)
        (purelib / "gitml-sandbox.pth").write_text("".join(lines))
    shutil.copy(Path(__file__).with_name("quick_pip.py"), folder / "quick_pip.py")
    for name in ("pip", "pip3"):
        script = folder / "bin" / name
        script.write_text(f'#!/bin/sh\nexec "{inside}" "{folder / "quick_pip.py"}" "$@"\n')
        script.chmod(0o755)


def append(variable: str, *lines: str) -> None:
    with open(os.environ[variable], "a") as file:
        file.writelines(f"{line}\n" for line in lines)


def main() -> None:
    folder = Path(os.environ["RUNNER_TEMP"], "python")
    python = choose()
    make(python, folder)
    inside = folder / "bin" / "python"
    append("GITHUB_PATH", str(folder / "bin"))
    append("GITHUB_ENV", f"pythonLocation={folder}", f"VIRTUAL_ENV={folder}", "PIP_DISABLE_PIP_VERSION_CHECK=1")
    found = version(python)
    append("GITHUB_OUTPUT", f"python-version={found}", f"python-path={inside}")
    if packages := os.environ["IN_INSTALL"].split():
        subprocess.run([inside, "-m", "pip", "install", *packages], check=True)
    print(f"Python {found} in {folder}")


if __name__ == "__main__":
    main()
