"""``.dvc`` files: data that `dvc add` and `dvc import` took in."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from gitml.errors import Problem, SpecError
from gitml.spec.yamlfile import read


def legacy_problem(file: str, line: int = 0, key: str = "") -> Problem:
    """A digest of DVC 2, without ``hash: md5``: it leaves line endings out, so it does not name bytes."""
    if file.endswith(".dvc"):
        path = file.removesuffix(".dvc")
        hint = f"bring it up to date: dvc pull {file} && dvc remove {file} && dvc add {path} && dvc push {file}"
    else:
        hint = "bring it up to date with `dvc cache migrate --dvc-files`, or delete it: the stages run again"
    return Problem(file, line, key, "has digests of DVC 2, which leave line endings out", hint)


def legacy_data(root: Path, paths: Iterable[str]) -> list[Problem]:
    """Those of ``paths``, or of folders around them, that DVC 2 took in."""
    files = {f"{place}.dvc" for path in paths for place in _up(path)}
    return [problem for file in sorted(files) if os.path.isfile(root / file) for problem in _of(root, file)]


def _of(root: Path, file: str) -> list[Problem]:
    try:
        document = read(root / file, file)
    except SpecError as exc:
        return list(exc.problems)
    outs = document.data.get("outs")
    listed = enumerate(outs if isinstance(outs, list) else ())
    old = [n for n, out in listed if isinstance(out, dict) and "md5" in out and "hash" not in out]
    return [legacy_problem(file, document.line(("outs", n)), f"outs[{n}]") for n in old]


def _up(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(len(parts), 0, -1)]
