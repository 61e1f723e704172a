"""The sandbox's own versions of the actions that workflows use, and where act finds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gitml_sandbox.actions import job_expansion
from gitml_sandbox.actions.workflows import WorkflowError, load_yaml
from gitml_sandbox.process import run

FOLDER = Path(__file__).with_name("steps")
_MAX_DEPTH = 10


def arguments(repository: Path, commit: str, steps: list[Any]) -> list[str]:
    """act's arguments that lead every `uses: owner/name@ref`, nested ones too, to a stand-in.

    Raises WorkflowError for an action that has none.
    """
    found = {_repository(uses): None for uses in every_use(repository, commit, steps)}
    words: list[str] = []
    for name, ref in found:
        words += ["--local-repository", f"{name}@{ref}={FOLDER / name.lower().split('/')[1]}"]
    return words


def _repository(uses: str) -> tuple[str, str]:
    name, _, ref = uses.partition("@")
    return "/".join(name.split("/")[:2]), ref


def every_use(repository: Path, commit: str, steps: list[Any], depth: int = 0) -> Iterator[str]:
    """The remote actions that steps use, those of local composite actions at this commit included."""
    if depth > _MAX_DEPTH:
        raise WorkflowError("local actions use each other more than 10 levels deep")
    for uses in job_expansion.used_actions(steps):
        if not uses.startswith("./"):
            if reason := job_expansion.refused_action(uses):
                raise WorkflowError(f"{uses}: {reason}")
            yield uses
            continue
        inner = _local(repository, commit, uses)
        if (inner.get("using") or "composite") != "composite":
            raise WorkflowError(f"{uses} is a {inner.get('using')} action; the sandbox runs composite ones")
        yield from every_use(repository, commit, inner.get("steps") or [], depth + 1)


def _local(repository: Path, commit: str, uses: str) -> Mapping[str, Any]:
    folder = uses.removeprefix("./").strip("/")
    for name in ("action.yml", "action.yaml"):
        done = run(["git", "cat-file", "blob", f"{commit}:{folder}/{name}"], cwd=repository, check=False)
        if done.returncode == 0:
            text = done.stdout.decode(errors="replace")
            runs = load_yaml(f"{folder}/{name}", text).get("runs")
            return runs if isinstance(runs, dict) else {}
    return {}  # it may come from another checkout; act says so if it is not there
