"""A job's log: act's JSON lines become steps with results and a text file with secrets masked, line by line."""

from __future__ import annotations

import io
import json
import re
import sqlite3
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

MAX_BYTES = 16 * 1024 * 1024
_MARK = re.compile(r"^\S+ ##\[step (\d+)\](.*)$")
_NOISE = re.compile(r"Error: Job '.*' failed$|For more information, see: |Actions YAML Schema Validation Error")
_COMMANDS = frozenset({"error", "warning", "notice", "group", "endgroup", "debug"})
_CONCLUSION = {"success": "success", "failure": "failure", "skipped": "skipped"}


def path(root: Path, run_id: int, job_id: int) -> Path:
    """Where the log of a job is kept: logs/RUN/JOB.log; ids are unique over attempts."""
    return root / "logs" / str(run_id) / f"{job_id}.log"


class Masker:
    """Replaces secrets: whole values, each line of longer ones, and what `::add-mask::` names later."""

    def __init__(self, values: Iterable[str]) -> None:
        self._values: set[str] = set()
        for value in values:
            self.add(value)

    def add(self, value: str) -> None:
        self._values |= {part for part in (value, *value.splitlines()) if part.strip()}
        self._values |= {json.dumps(part)[1:-1] for part in set(self._values)}
        ordered = sorted(self._values, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    _pattern: re.Pattern[str] | None = None

    def __call__(self, text: str) -> str:
        return self._pattern.sub("***", text) if self._pattern else text

    def hides(self, text: str) -> bool:
        """True if the text contains a secret."""
        return bool(self._pattern and self._pattern.search(text))


@dataclass
class Step:
    """One step as it goes on; a record of the reader, turned into GitHub's JSON by `as_json`."""

    number: int
    name: str
    started_at: str
    status: str = "in_progress"
    conclusion: str | None = None
    completed_at: str | None = None

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass
class Reader:
    """Reads act's lines of one job. `now` gives ISO times, `changed` is called when a step begins or ends."""

    job_id: str
    names: Mapping[str, str]
    out: TextIO
    mask: Masker
    now: Callable[[], str]
    changed: Callable[[Sequence[Step]], None]
    steps: list[Step] = field(default_factory=list)
    result: str | None = None
    said: list[str] = field(default_factory=list)
    _written: int = 0
    _by_id: dict[tuple[str, str], Step] = field(default_factory=dict)

    def feed(self, line: str) -> None:
        """One line of act's output."""
        try:
            entry = json.loads(line)
        except ValueError:
            self._plain(line)
            return
        if not isinstance(entry, dict):
            return
        if entry.get("jobID") == self.job_id:
            self._entry(entry)
        elif entry.get("level") in {"error", "fatal"} and "jobID" not in entry:
            self._plain(str(entry.get("msg", "")))

    def _plain(self, line: str) -> None:
        # act's own words: a workflow that it refuses, an action that it cannot find.
        text = line.strip()
        if text and not _NOISE.match(text):
            self.said = [*self.said, self.mask(text)][:6]
            self.write(text)

    def _entry(self, entry: Mapping[str, Any]) -> None:
        if entry.get("command") == "add-mask":
            self.mask.add(str(entry.get("arg", "")))
            return
        step = self._step(entry)
        message = str(entry.get("msg", ""))
        if "jobResult" in entry:
            self.result = str(entry["jobResult"])
        elif "stepResult" in entry and step is not None:
            self._end(step, entry)
        elif entry.get("command") in _COMMANDS:
            self._command(entry)
        elif entry.get("raw_output"):
            self.write(message.rstrip("\r\n"))
        elif entry.get("level") == "error":
            self.write(f"##[error]{message.strip()}")

    def _step(self, entry: Mapping[str, Any]) -> Step | None:
        ids = entry.get("stepID")
        stage = str(entry.get("stage", "Main"))
        if not ids or stage == "Pre":
            return None
        key = (stage, str(ids[0]))
        if key not in self._by_id:
            name = self.names.get(key[1], key[1])
            title = f"Post {name}" if stage == "Post" else name
            step = Step(len(self.steps) + 1, self.mask(" ".join(title.split())), self.now())
            self._by_id[key] = step
            self.steps.append(step)
            self._put(f"##[step {step.number}]{step.name}")
            self.changed(self.steps)
        return self._by_id[key]

    def _end(self, step: Step, entry: Mapping[str, Any]) -> None:
        if len(entry.get("stepID", ())) > 1:
            return  # a step inside a composite action
        step.status = "completed"
        step.conclusion = _CONCLUSION.get(str(entry["stepResult"]), "failure")
        step.completed_at = self.now()
        self.changed(self.steps)

    def _command(self, entry: Mapping[str, Any]) -> None:
        pairs = entry.get("kvPairs") or {}
        place = " ".join(f"{k}={v}" for k, v in sorted(pairs.items()))
        argument = str(entry.get("arg", ""))
        self.write(f"##[{entry['command']}]{argument}{f' ({place})' if place else ''}")

    def write(self, text: str) -> None:
        """Append to the log, masked, with the time in front of every line; a log has a size limit."""
        # What a job prints is no beginning of a step, whatever it says.
        self._put("\n".join(f" {x}" if x.startswith("##[step ") else x for x in self.mask(text).split("\n")))

    def _put(self, text: str) -> None:
        if self._written > MAX_BYTES:
            return
        for line in text.split("\n"):
            full = f"{self.now()} {line}\n"
            self._written += len(full)
            self.out.write(full)
        if self._written > MAX_BYTES:
            self.out.write(f"{self.now()} ##[warning]the log ends here: it is larger than {MAX_BYTES} bytes\n")
        self.out.flush()


@dataclass(frozen=True)
class StepLog:
    """The lines of one step for a page; number 0 is what was said outside of steps."""

    number: int
    name: str
    lines: tuple[str, ...]


def read(file: Path) -> list[StepLog]:
    """A log split into its steps, also while it is being written. Missing: empty."""
    if not file.is_file():
        return []
    found: list[tuple[int, str, list[str]]] = [(0, "", [])]
    with file.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        for line in lines:
            text = line.rstrip("\n")
            if mark := _MARK.match(text):
                found.append((int(mark[1]), mark[2], []))
            else:
                found[-1][2].append(text)
    return [StepLog(number, name, tuple(body)) for number, name, body in found if number or body]


def pack(root: Path, jobs: Sequence[sqlite3.Row]) -> bytes:
    """A ZIP of the logs of jobs as GitHub lays it out: a file for each job, and one for each of its steps."""
    packed, seen = io.BytesIO(), set[str]()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for index, job in enumerate(jobs):
            file, name = path(root, job["run_id"], job["id"]), _file_name(job["name"])
            if file.is_file():
                archive.write(file, f"{index}_{name}.txt")
            if name in seen:  # names that differ in what a file name cannot hold
                name = f"{name} ({index})"
            seen.add(name)
            for step in read(file):
                if step.number:
                    text = "".join(f"{line}\n" for line in step.lines)
                    archive.writestr(f"{name}/{step.number}_{_file_name(step.name)}.txt", text)
    return packed.getvalue()


def _file_name(name: str) -> str:
    """A name that stays in its folder on every system."""
    return re.sub(r'[/\\:*?"<>|\x00-\x1f]', "_", name)[:100].strip(". ") or "_"


def step_names(steps: Sequence[Any]) -> dict[str, str]:
    """Names by act's id of a step: its `id`, else its index."""
    names: dict[str, str] = {}
    for index, step in enumerate(steps):
        first = str(step.get("run") or "").strip().split("\n", 1)[0]
        name = step.get("name") or f"Run {step.get('uses') or first}"
        names[str(step.get("id") or index)] = str(name)[:255]
    return names
