"""Where a version came from: the commits that may hold what it was trained from."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gitml.errors import InconclusiveError
from gitml.git.commands import Git
from gitml.registry import Record, parse_record, record_path
from gitml.registry.agreement import Disagreement

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class Origin:
    """``commit`` and why it is looked at. ``cut``: a shallow clone ends here, so the record may be older than it."""

    commit: str
    why: str
    cut: bool = False


@dataclass(frozen=True)
class Origins:
    """The candidates, best first. ``edited``: how the record differs from the one that a commit brought in."""

    candidates: tuple[Origin, ...]
    edited: Disagreement | None = None


def origins(git: Git, record: Record) -> Origins:
    """Raises InconclusiveError when this clone has no commit that the record may come from."""
    relative = record_path(record.model, record.version)
    whole: list[Origin] = []
    altered: list[tuple[Origin, Disagreement]] = []
    for start, why in ((git.main_ref(), "the commit of main that brought it in"), ("HEAD", "the commit that added it")):
        commit = git.commit_that_added(relative, start) if start and git.resolve(start) else None
        if commit:
            origin = Origin(commit, why, git.is_boundary(commit))
            edited = _edited(record, git.read_file(commit, relative))
            if edited:
                altered.append((origin, edited))
            else:
                whole.append(origin)
    trained = git.resolve(record.commit) if record.commit and _COMMIT.fullmatch(record.commit) else None
    kept = [Origin(trained, "the commit it was trained at")] if trained else []
    found: dict[str, Origin] = {}
    for origin in (*whole, *kept, *(o for o, _ in altered)):
        found.setdefault(origin.commit, origin)
    if not found:
        raise InconclusiveError(
            f"no commit here brought in {record.version}.json, and the one it names ({record.commit}) is not here",
            "run `git fetch --unshallow`" if git.is_shallow() else "fetch the branch that it was trained on",
        )
    return Origins(tuple(found.values()), altered[0][1] if altered and not whole else None)


def _edited(record: Record, raw: bytes | None) -> Disagreement | None:
    """The first field that is not as the commit has it. Line endings do not count, so the text is read."""
    try:
        before = parse_record(raw or b"").model_dump(mode="json")
    except ValueError:
        return Disagreement("the record", "this", "no record")
    after = record.model_dump(mode="json")
    for key in after:
        if before[key] != after[key]:
            return _inner(key, after[key], before[key])
    return None


def _inner(key: str, after: object, before: object) -> Disagreement:
    if isinstance(after, dict) and isinstance(before, dict):
        for name in [*after, *(n for n in before if n not in after)]:
            if before.get(name) != after.get(name):
                return _inner(f"{key}.{name}", after.get(name), before.get(name))
    return Disagreement(key, after, before)
