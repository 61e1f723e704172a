"""``gitml subject erase``: a pull request that takes one person out of the data, and asks for the rest to be done.

Whoever calls it has the id; the pull request and all that follows see an HMAC of it alone.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gitml.control.change import branch_of, keep_pull
from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.errors import FailedError, OutsideError, SpecError, UsageError
from gitml.forges.base import NewPull, PullRequest
from gitml.git.edit import bring, commit_files, swap, tip_of
from gitml.governance.dataversions import SubjectData
from gitml.governance.subjectfind import SubjectFound, SubjectTest, TrafficCall, find_subject
from gitml.governance.subjectids import SoughtPerson, compared, token_of
from gitml.governance.subjectremoval import RemovedRows, remove_rows
from gitml.registry.erasures import Erasure, check_request, parse_erasure, path_of
from gitml.reports.erasure import ErasureStory, erasure_text

ERASE = "gitml/erase"
_TIMEOUT = 3600


@dataclass(frozen=True)
class EraseOrder:
    """``typed`` is the id. ``traffic``: where it is looked for besides, None where that is not known."""

    request: str
    typed: str = field(repr=False)
    traffic: TrafficCall | None = None


@dataclass(frozen=True)
class ErasureAsked:
    """``how`` is opened, updated, unchanged, or merged where main has the request already."""

    erasure: Erasure
    found: SubjectFound
    how: str
    pull: PullRequest | None = None
    removed: tuple[RemovedRows, ...] = ()
    kept: tuple[str, ...] = ()


def erase(place: Place, data: SubjectData, order: EraseOrder) -> ErasureAsked:
    """Ask for it. Called twice it does nothing the second time; the work tree is not touched.

    Raises UsageError where the request's name is another person's, or this clone declares people otherwise than the
    default branch; FailedError where the declared command fails.
    """
    check_request(order.request)
    wanted = SoughtPerson.by_id(data.ring, order.typed, data.subjects.form)
    main = place.newest()
    if main.application().subjects != data.subjects:
        # Its command gets the id: nobody else's than main's. And the job compares ids in main's form.
        raise UsageError(
            "this clone has other `subjects` in gitml.yaml than the default branch", "merge them first, and pull"
        )
    there = _filed(main.file(path_of(order.request)), order, data)
    if there is not None:
        return ErasureAsked(there, find_subject(main.tree, data, wanted, order.traffic), "merged")
    _run_command(place, data, order)
    found = find_subject(main.tree, data, wanted, order.traffic)
    test = SubjectTest(data.subjects, data.ring, wanted)
    current = [one for one in found.data if one.data in found.current]
    done = [remove_rows(main.tree, data, one, test) for one in current]
    removed = tuple(one for one in done if isinstance(one, RemovedRows))
    kept = tuple(one for one in done if isinstance(one, str))
    branch = branch_of(main, ERASE, order.request)
    filed, earlier = _branch(place, branch, order, data)
    erasure = filed or _erasure(place, data, order, found)
    if filed:
        erasure = filed.model_copy(update={"data": _data(found), "objects": _objects(found)})
    files = {erasure.path: erasure.content(), **{one.file: one.content for one in removed}}
    is_new = _put(place, main, (branch, earlier), files, order.request)
    story = _story(erasure, found, removed, kept)
    title = f"Erase a person: request {order.request}"
    put = keep_pull(place, NewPull(title, branch, place.branch, erasure_text(story)), is_new=is_new)
    return ErasureAsked(erasure, found, put.how, put.pull, removed, kept)


def _filed(raw: bytes | None, order: EraseOrder, data: SubjectData) -> Erasure | None:
    """The request as a file has it, if it is of this person."""
    if raw is None:
        return None
    found = parse_erasure(raw, path_of(order.request))
    entry = data.ring.named(found.key).entry(compared(order.typed, data.subjects.form))
    if token_of(entry, order.request) != found.subject:
        raise UsageError(
            f"the request {order.request} is about somebody else", "each person has a request of their own"
        )
    return found


def _branch(place: Place, branch: str, order: EraseOrder, data: SubjectData) -> tuple[Erasure | None, str | None]:
    """What an earlier call filed, so that its day stays, and the branch's head."""
    there = tip_of(place.root, place.remote, branch)
    if there is None:
        return None, None
    bring(place.git, place.remote, there, whole=True)
    try:
        return _filed(place.git.read_file(there, path_of(order.request)), order, data), there
    except SpecError:
        return None, there


def _run_command(place: Place, data: SubjectData, order: EraseOrder) -> None:
    """Where data come from something else than DVC. It does not see the keys, and the id only on standard input."""
    command = data.subjects.command
    if command is None:
        return
    env = {name: value for name, value in os.environ.items() if name != data.subjects.key}
    done = subprocess.run(  # noqa: S602 - gitml.yaml of this clone says it, and this person runs it
        command, shell=True, cwd=place.root, env=env, input=f"{order.typed}\n".encode(), capture_output=True,
        timeout=_TIMEOUT, check=False,
    )  # fmt: skip
    if done.returncode:
        # What it says may hold the id.
        raise FailedError(
            f"the command under subjects.command ended with {done.returncode}: {command}",
            "nothing was asked for; call it yourself to see what it says, then call this again",
        )


def _erasure(place: Place, data: SubjectData, order: EraseOrder, found: SubjectFound) -> Erasure:
    now, key = place.clock().astimezone(UTC), data.ring.current
    entry = key.entry(compared(order.typed, data.subjects.form))
    return Erasure(
        request=order.request,
        key=key.name,
        subject=token_of(entry, order.request),
        filed=f"{now:%Y-%m-%dT%H:%M:%SZ}",
        retrain_by=_due(now, data),
        data=_data(found),
        objects=_objects(found),
    )


def _due(now: datetime, data: SubjectData) -> str:
    return f"{now + data.subjects.retrain_within:%Y-%m-%d}"


def _data(found: SubjectFound) -> Mapping[str, str]:
    return {one.data.digest: one.data.path for one in found.data}


def _objects(found: SubjectFound) -> Mapping[str, str]:
    return {file.oid: file.path for one in found.data for file in one.files}


def _put(place: Place, main: Mainline, at: tuple[str, str | None], files: Mapping[str, bytes], request: str) -> bool:
    """Have the files on the branch, on the newest main; whether that took a commit. What CI trained on it stays while
    the files are the same."""
    branch, there = at
    if there and all(place.git.read_file(there, path) == content for path, content in files.items()):
        return False
    whole = {f"{main.git.prefix}{path}": content for path, content in files.items()}
    message = f"Erase a person: request {request}\n\nGitml-Change: erase {request}\n"
    commit = commit_files(place.git, main.commit, whole, message, place.who())
    if not swap(place.root, place.remote, branch, there, commit):
        raise OutsideError(f"the branch {branch} moved meanwhile", "call this again")
    return True


def _story(erasure: Erasure, found: SubjectFound, removed: Sequence[RemovedRows], kept: Sequence[str]) -> ErasureStory:
    runs = [
        (one.model, one.version, ", ".join(f"{p.environment} ({p.role})" for p in one.runs)) for one in found.versions
    ]
    rows: dict[str, int] = {}
    for one in found.traffic:
        rows[one.model] = rows.get(one.model, 0) + one.rows
    return ErasureStory(
        request=erasure.request,
        retrain_by=erasure.retrain_by,
        data=[(one.data.path, one.data.oid, one.data in found.current) for one in found.data],
        versions=runs,
        removed=[(one.data.path, one.rows) for one in removed],
        kept=kept,
        logged=sorted(rows.items()),
        unknown=found.unknown,
    )
