"""``gitml subject``"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gitml import spec
from gitml.cli.common import as_json, examples, root_of, traffic_log
from gitml.errors import UsageError
from gitml.output import note, paint, printable, show, show_json, table

if TYPE_CHECKING:
    from gitml.governance.dataversions import SubjectData
    from gitml.governance.subjectfind import SubjectFound, TrafficCall
    from gitml.spec import Application
    from gitml.spec.subjects import Subjects

_MOST_ID = 4096


@click.group(
    epilog=examples(
        "gitml subject keygen 2026a                        a key to hash ids with, once",
        "gitml subject index                               who is in the data of all versions",
        "gitml subject find < id.txt                       where one person is",
        "gitml subject erase --request 2026-17 < id.txt    ask for them to be erased",
        "gitml subject gc --request 2026-17 --yes          delete the old data that held them",
    )
)
def subject() -> None:
    """Find one person in data, models and traffic, and erase them. Ids come on standard input, never in a call.

    gitml.yaml declares under `subjects` which columns say whom a row is about.
    """


@subject.command(epilog=examples("gitml subject keygen 2026a    put it in front of the older ones, with a comma"))
@click.argument("name")
def keygen(name: str) -> None:
    """Print a new key that ids are hashed with. It belongs where secrets are kept, never into Git.

    Whoever has a key and an index can ask whether somebody is in it. A key that is lost makes its indexes useless;
    `gitml subject index` makes them anew from the data, as long as those are there.
    """
    from gitml.governance.subjectids import new_key

    show(new_key(name))


def declared(application: Application) -> Subjects:
    """Raises UsageError where gitml.yaml declares no people."""
    if application.subjects is None:
        hint = "name data sets and their columns of ids under `subjects`"
        raise UsageError("gitml.yaml does not say which columns are ids of people", hint)
    return application.subjects


@contextmanager
def subject_data(root: Path) -> Iterator[SubjectData]:
    """The data of people, with the keys of the environment."""
    from gitml.dvc.repository import Dvc
    from gitml.git.tree import WorkTree
    from gitml.governance.dataversions import SubjectData
    from gitml.governance.subjectids import needed_ring
    from gitml.registry.erasures import erased_objects

    subjects = declared(spec.load_application(root))
    ring = needed_ring(subjects, os.environ)
    with Dvc(root) as dvc:
        yield SubjectData(dvc, subjects, ring, erased_objects(WorkTree(root)))


def read_id() -> str:
    """One id from standard input: a line, whose end is no part of it."""
    if sys.stdin.isatty():
        note("type the id and end the line; it is not stored")
    raw = sys.stdin.buffer.readline(_MOST_ID + 1)
    if len(raw) > _MOST_ID or sys.stdin.buffer.read(1):
        raise UsageError("standard input holds more than one line", "one id at a time")
    try:
        return raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise UsageError("the id is not UTF-8", "write it to a file in UTF-8") from None


@subject.command(epilog=examples("gitml subject index", "gitml subject index --again    after a change of `form`"))
@click.option("--again", is_flag=True, help="Make all of them anew, also those that are there.")
@as_json
@click.pass_context
def index(ctx: click.Context, /, *, again: bool, as_json: bool) -> int:
    """Make the indexes that are missing: of the data of all versions here, and of what dvc.lock has now.

    They lie beside the objects of DVC, in the cache and on the default remote. After a key was put in front of the
    others this hashes with the new one; the old key may go afterwards. Exit code 3: some data could not be looked into.
    """
    from gitml.git.tree import WorkTree
    from gitml.governance.dataversions import current_data, data_of, records_on

    root = root_of(ctx)
    tree = WorkTree(root)
    with subject_data(root) as data:
        every = {one for record in records_on(tree) for one in data_of(record, data.subjects)}
        made, problems = data.index(sorted(every | {*current_data(tree, data.subjects)}), again=again)
    if as_json:
        show_json({"made": made, "problems": problems})
    else:
        show(f"{made} {'index' if made == 1 else 'indexes'} made")
        for problem in problems:
            note(paint("not indexed: ", "yellow") + printable(problem))
    return 3 if problems else 0


def traffic_call(root: Path, folder: str | None, models: list[str]) -> TrafficCall | None:
    """Where the traffic is; None where nothing says that."""
    from gitml.governance.subjectfind import TrafficCall

    said = spec.load_application(root).traffic
    if folder is None and said is None:
        return None
    at = folder or (said.at if said else "")
    away = "://" in at and not at.startswith("file://")
    return TrafficCall(at, root / ".dvc" / "tmp" / "gitml" / "log" if away else None, models)


@subject.command(epilog=examples("gitml subject find < id.txt", "gitml subject find --json < id.txt"))
@traffic_log
@as_json
@click.pass_context
def find(ctx: click.Context, /, *, folder: str | None, as_json: bool) -> int:
    """Tell where one person is: versions of data, versions of models, where these run now, logged predictions.

    The id comes on standard input and is compared in the form that gitml.yaml declares. Exit code 3: not everything
    could be looked into, and it says what; finding nobody is only then an answer when it is 0.
    """
    from gitml.git.tree import WorkTree
    from gitml.governance.subjectfind import find_subject
    from gitml.governance.subjectids import SoughtPerson

    root = root_of(ctx)
    models = list(spec.load_application(root).models)
    with subject_data(root) as data:
        wanted = SoughtPerson.by_id(data.ring, read_id(), data.subjects.form)
        found = find_subject(WorkTree(root), data, wanted, traffic_call(root, folder, models))
    if as_json:
        show_json(found_json(found))
    else:
        show_found(found, looked=bool(traffic_call(root, folder, models)))
    return found.verdict.exit_code


def found_json(found: SubjectFound) -> dict[str, Any]:
    return {
        "phase": found.verdict.phase,
        "reason": found.verdict.reason,
        "data": [
            {"path": one.data.path, "digest": one.data.digest, "current": one.data in found.current,
             "files": [{"path": file.path, "oid": file.oid} for file in one.files]}
            for one in found.data
        ],
        "versions": [
            {"model": one.model, "version": one.version, "data": [d.digest for d in one.data],
             "runs": [{"environment": place.environment, "role": place.role} for place in one.runs]}
            for one in found.versions
        ],
        "predictions": found.traffic,
        "events": found.events,
        "unknown": found.unknown,
    }  # fmt: skip


def show_found(found: SubjectFound, *, looked: bool) -> None:
    rows = [
        [printable(one.data.path), one.data.oid[:8], "now" if one.data in found.current else ""] for one in found.data
    ]
    if rows:
        show(table(rows, ["data", "version", ""]))
    runs = [
        [one.model, one.version, ", ".join(f"{p.environment} ({p.role})" for p in one.runs) or "–"]
        for one in found.versions
    ]
    if runs:
        show(table(runs, ["model", "version", "runs in"]))
    logged = [
        [one.model, one.version, one.environment or "–", str(one.rows), f"{one.first} … {one.last}"]
        for one in found.traffic
    ]
    if logged:
        show(table(logged, ["predictions of", "version", "environment", "rows", "days"], right=[3]))
    if found.events:
        show(f"{found.events} business events")
    if not looked:
        note("gitml.yaml does not say where traffic is kept, so none was looked at: name it with --log")
    for text in found.unknown:
        note(paint("not known: ", "yellow") + printable(text))
    show(printable(f"{found.verdict.phase.value}: {found.verdict.reason}"))
