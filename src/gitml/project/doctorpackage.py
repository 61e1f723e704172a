"""``gitml doctor``: can the jobs of CI install gitml from where the workflows say?"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from gitml.errors import GitmlError, OutsideError
from gitml.http import HttpError, connected
from gitml.process import run
from gitml.project.doctorpoint import Mark, Point
from gitml.project.render import installed_from
from gitml.retries import Patience
from gitml.spec.application import Application

# pip names the index that it asks, by its configuration or its own choice, among its options.
_ASKED = re.compile(r"--index-url <url> .*?\(default (\S+)\)")
_NAMES = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")
_PATIENCE = Patience(tries=2, total=8.0, answer=4.0)
_LARGEST = 16 << 20
_TODO = "say in gitml.yaml where it lies, such as ci: {gitml: 'gitml @ git+https://…@COMMIT'}, and render again"


def package_point(root: Path, application: Application, env: Mapping[str, str]) -> Point:
    """Asks the index that pip would ask here; the jobs' own may be another one."""
    wanted = installed_from(root, application)
    name, _, version = wanted.partition("==")
    if not version:
        return Point("gitml in CI", Mark.OK, f"jobs install {'this repository' if wanted == '.' else wanted}")
    try:
        index = next((env[key] for key in _NAMES if env.get(key)), "") or _of_pip(root)
        with connected(index, "", patience=_PATIENCE) as http:
            found = f"{name}-{version}".encode() in http.download(f"{name}/", most=_LARGEST)
    except HttpError as exc:
        if exc.status != 404:
            return Point("gitml in CI", Mark.UNKNOWN, f"no package index was asked for {wanted}: {exc.message}")
        found = False
    except GitmlError as exc:
        return Point("gitml in CI", Mark.UNKNOWN, f"no package index was asked for {wanted}: {exc.message}")
    if found:
        return Point("gitml in CI", Mark.OK, f"{wanted} is on the package index")
    return Point("gitml in CI", Mark.MISSING, f"jobs install {wanted}, which is not on the package index", _TODO)


def _of_pip(root: Path) -> str:
    told = run([sys.executable, "-m", "pip", "install", "--help"], cwd=root, timeout=30).stdout.decode()
    found = _ASKED.search(" ".join(told.split()))
    if found is None:
        raise OutsideError("pip does not say which index it asks", "name it in PIP_INDEX_URL")
    return found[1]
