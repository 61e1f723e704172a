"""Workflow files: read from a commit of a bare repository, checked, and normalised for the triggers and the
queue.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import YAMLError

from gitml_sandbox.actions import cronline
from gitml_sandbox.errors import UsageError
from gitml_sandbox.process import run

FOLDER = ".github/workflows"
MAX_BYTES = 512 * 1024
MAX_FOLDER_BYTES = 1024 * 1024  # reading YAML takes a minute a megabyte
_MAX_NODES = 100_000


class WorkflowError(UsageError):
    """A workflow file that GitHub would refuse: it becomes a run that failed at its start."""


@dataclass(frozen=True)
class Trigger:
    """One event under `on:`. An empty tuple with `given` False means that the filter is not there."""

    event: str
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # branches, paths-ignore, types, workflows ...
    crons: tuple[str, ...] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """One entry under `jobs:`; `raw` is what the file says, expressions untouched."""

    id: str
    raw: Mapping[str, Any]
    needs: tuple[str, ...]

    @property
    def uses(self) -> str:
        return str(self.raw.get("uses") or "")


@dataclass(frozen=True)
class Workflow:
    path: str
    name: str
    on: Mapping[str, Trigger]
    jobs: Mapping[str, Job]
    raw: Mapping[str, Any]


@dataclass(frozen=True)
class Broken:
    """A workflow file that cannot be read, with the reason."""

    path: str
    reason: str


def read_all(repository: Path, commit: str) -> list[Workflow | Broken]:
    """Every workflow file of a commit, sorted by path. A commit without the folder yields nothing."""
    sizes = _files(repository, commit)
    kept, refused, total = {}, [], 0
    for path, (oid, size) in sorted(sizes.items()):
        total += size
        if size > MAX_BYTES:
            refused.append(Broken(path, f"{path} is larger than {MAX_BYTES // 1024} KiB"))
        elif total > MAX_FOLDER_BYTES:
            words = f"the workflow files up to {path} are larger than {MAX_FOLDER_BYTES // 1024} KiB together"
            refused.append(Broken(path, words))
        else:
            kept[path] = oid
    found = [parse_or_broken(path, text) for path, text in _blobs(repository, kept).items()]
    return sorted([*found, *refused], key=lambda one: one.path)


def _files(repository: Path, commit: str) -> dict[str, tuple[str, int]]:
    """Object and size of each workflow file."""
    listing = run(["git", "ls-tree", "-z", "-l", commit, FOLDER + "/"], cwd=repository, check=False)
    if listing.returncode != 0:
        return {}
    found: dict[str, tuple[str, int]] = {}
    for entry in filter(None, listing.stdout.decode(errors="surrogateescape").split("\0")):
        meta, path = entry.split("\t", 1)
        mode, kind, oid, size = meta.split()
        if kind == "blob" and mode != "120000" and path.endswith((".yml", ".yaml")):
            found[path] = (oid, int(size))
    return found


def _blobs(repository: Path, oids: Mapping[str, str]) -> dict[str, bytes]:
    if not oids:
        return {}
    asked = "".join(f"{oid}\n" for oid in oids.values()).encode()
    said = run(["git", "cat-file", "--batch"], cwd=repository, stdin=asked).stdout
    blobs: dict[str, bytes] = {}
    at = 0
    for path in oids:
        end = said.index(b"\n", at)
        size = int(said[at:end].split(b" ")[2])
        blobs[path] = said[end + 1 : end + 1 + size]
        at = end + size + 2
    return blobs


# Every commit of every branch brings the same files again, and the queue asks for called ones at each turn.
@lru_cache(maxsize=128)
def parse_or_broken(path: str, text: bytes) -> Workflow | Broken:
    """Like `parse`, with the reason kept instead of raised."""
    try:
        return parse(path, _decode(path, text))
    except WorkflowError as exc:
        return Broken(path, exc.message)


def _decode(path: str, text: bytes) -> str:
    if len(text) > MAX_BYTES:
        raise WorkflowError(f"{path} is larger than {MAX_BYTES // 1024} KiB")
    try:
        return text.decode()
    except UnicodeDecodeError as exc:
        raise WorkflowError(f"{path} is not UTF-8") from exc


def parse(path: str, text: str) -> Workflow:
    """A checked workflow. Raises WorkflowError with a reason a person can act on."""
    return build(path, load_yaml(path, text))


def build(path: str, raw: Mapping[str, Any]) -> Workflow:
    """A checked workflow from what its file says."""
    triggers = _triggers(path, raw)
    jobs = _jobs(path, raw)
    return Workflow(path, str(raw.get("name") or path), triggers, jobs, raw)


def load_yaml(path: str, text: str) -> dict[str, Any]:
    """A YAML mapping as plain JSON values. YAML 1.1 reads the key `on` as True; either way it ends up as
    `on`.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _WithoutMerges
    try:
        loaded = yaml.load(StringIO(text))
        if not isinstance(loaded, dict):
            raise WorkflowError(f"{path} is not a mapping")
        plain = _plain(loaded, [0], path)
    except (YAMLError, ValueError, OverflowError, RecursionError) as exc:
        raise WorkflowError(f"{path} is not valid YAML: {' '.join(str(exc).split())[:300]}") from exc
    assert isinstance(plain, dict)
    return plain


class _WithoutMerges(SafeConstructor):
    """GitHub takes anchors and aliases but no merge keys. Here they would also unfold while they are read: ten lines of
    `<<: [*a, *a]` become a mapping that fills the memory before anything could count it.
    """

    def flatten_mapping(self, node: Any) -> None:
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise ConstructorError(None, None, "merge keys (`<<`) are not supported", node.start_mark)
        super().flatten_mapping(node)


def _plain(value: Any, seen: list[int], path: str) -> Any:
    # Aliases make a small file unfold to billions of nodes, so unfolding is counted.
    seen[0] += 1
    if seen[0] > _MAX_NODES:
        raise WorkflowError(f"{path} unfolds to more than {_MAX_NODES} values")
    if isinstance(value, dict):
        return {"on" if k is True else str(k): _plain(v, seen, path) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v, seen, path) for v in value]
    if isinstance(value, datetime.date | datetime.datetime):
        return value.isoformat()
    if value is None or isinstance(value, str | int | float):
        return value
    raise WorkflowError(f"{path} has a value of the type {type(value).__name__}, which workflows do not have")


def strings(value: Any) -> tuple[str, ...]:
    """A string, a list of strings or nothing, as a tuple."""
    if value is None:
        return ()
    return tuple(str(v) for v in value) if isinstance(value, list) else (str(value),)


def _triggers(path: str, raw: Mapping[str, Any]) -> dict[str, Trigger]:
    on = raw.get("on")
    if isinstance(on, str | list):
        on = dict.fromkeys(strings(on))
    if not isinstance(on, dict) or not on:
        raise WorkflowError(f"{path} has no `on:`")
    return {event: _trigger(path, event, config) for event, config in on.items()}


def _trigger(path: str, event: str, config: Any) -> Trigger:
    if event == "schedule":
        if not isinstance(config, list) or not all(isinstance(c, dict) and c.get("cron") for c in config):
            raise WorkflowError(f"{path}: `schedule` needs a list of `cron:`")
        wrong = [str(c["cron"]) for c in config if not cronline.valid(str(c["cron"]))]
        if wrong:
            raise WorkflowError(f"{path}: {wrong[0]!r} is no cron line of five POSIX fields")
        return Trigger(event, crons=tuple(str(c["cron"]) for c in config))
    if config is None:
        return Trigger(event)
    if not isinstance(config, dict):
        raise WorkflowError(f"{path}: `on.{event}` is not a mapping")
    filters = {k: strings(v) for k, v in config.items() if k not in {"inputs", "secrets", "outputs"}}
    for kind in ("branches", "tags", "paths"):
        if kind in filters and f"{kind}-ignore" in filters:
            raise WorkflowError(f"{path}: `on.{event}` has both `{kind}` and `{kind}-ignore`")
        if kind in filters and filters[kind] and all(p.startswith("!") for p in filters[kind]):
            raise WorkflowError(f"{path}: `on.{event}.{kind}` has only `!` patterns; use `{kind}-ignore`")
    if event == "workflow_run" and not filters.get("workflows"):
        raise WorkflowError(f"{path}: `on.workflow_run` needs `workflows:`")
    return Trigger(event, filters, inputs=config.get("inputs") or {})


def _jobs(path: str, raw: Mapping[str, Any]) -> dict[str, Job]:
    given = raw.get("jobs")
    if not isinstance(given, dict) or not given:
        raise WorkflowError(f"{path} has no `jobs:`")
    jobs = {name: _job(path, name, body) for name, body in given.items()}
    for job in jobs.values():
        for need in job.needs:
            if need not in jobs:
                raise WorkflowError(f"{path}: job `{job.id}` needs `{need}`, which is not there")
    _refuse_cycles(path, jobs)
    return jobs


def _job(path: str, name: str, body: Any) -> Job:
    if not isinstance(body, dict):
        raise WorkflowError(f"{path}: job `{name}` is not a mapping")
    if not body.get("uses"):
        if not body.get("runs-on"):
            raise WorkflowError(f"{path}: job `{name}` has no `runs-on:`")
        if not isinstance(body.get("steps"), list) or not body["steps"]:
            raise WorkflowError(f"{path}: job `{name}` has no `steps:`")
    return Job(name, body, strings(body.get("needs")))


def _refuse_cycles(path: str, jobs: Mapping[str, Job]) -> None:
    done: set[str] = set()
    while len(done) < len(jobs):
        ready = {j.id for j in jobs.values() if j.id not in done and done.issuperset(j.needs)}
        if not ready:
            raise WorkflowError(f"{path}: the `needs:` of {', '.join(sorted(jobs.keys() - done))} go in a circle")
        done |= ready


def ancestors(jobs: Mapping[str, Job], job: Job) -> list[str]:
    """Every job that `job` needs, directly or not, in the order of the file."""
    found: set[str] = set()
    todo = list(job.needs)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += jobs[name].needs
    return [name for name in jobs if name in found]
