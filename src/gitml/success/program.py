"""A KPI by a command that prints CSV: it reads what gitml.yaml lists, and has a network only where it has secrets."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from gitml.confined import unreadable
from gitml.errors import InconclusiveError, OutsideError, UsageError
from gitml.process import ask_apart, python_apart
from gitml.spec.kpis import KpiCommand
from gitml.success.days import Days
from gitml.success.facttable import csv_batches
from gitml.success.programhost import ProgramOrder

_MOST = 256 << 20


def program_batches(
    root: Path, name: str, spec: KpiCommand, days: Days, env: Mapping[str, str]
) -> Iterator[pa.RecordBatch]:
    """Raises InconclusiveError where the command fails or lacks a secret, UsageError where it prints no table."""
    lacking = [secret for secret in spec.secrets if not env.get(secret)]
    if lacking:
        raise InconclusiveError(f"the KPI {name} needs the environment variable {lacking[0]}", "set it")
    files = [str(p) for word in (*spec.reads, *spec.run) if (p := _inside(root, word))]
    unreadable()
    with tempfile.TemporaryDirectory(prefix="gitml-kpi-") as folder:
        seconds = spec.timeout.total_seconds()
        order = ProgramOrder(
            run=[*spec.run],
            root=str(root.resolve()),
            reads=files,
            folder=folder,
            connects=bool(spec.secrets),
            seconds=seconds,
        )
        more = {secret: env[secret] for secret in spec.secrets} | {
            "PATH": env.get("PATH", os.defpath),
            "GITML_SINCE": f"{days.since:%Y-%m-%dT%H:%M:%SZ}",
            "GITML_UNTIL": f"{days.until:%Y-%m-%dT%H:%M:%SZ}",
        }
        command = python_apart("gitml.success.programhost", order.model_dump_json())
        try:
            said, code = ask_apart(command, cwd=Path(folder), seconds=seconds, most=_MOST, more=more)
        except OutsideError as exc:
            what = exc.message.partition(" ")[2]
            raise InconclusiveError(f"the command of the KPI {name} {what}", "see `timeout` of its command") from exc
    if code:
        how = f"exit code {code}" if code > 0 else f"signal {-code}"
        hint = (
            "run it by hand; it reads only its own words, `reads` and its libraries, and has no network without secrets"
        )
        raise InconclusiveError(f"the command of the KPI {name} failed with {how}", hint)
    yield from csv_batches(said, f"what the command of the KPI {name} prints", days.zone)


def _inside(root: Path, word: str) -> Path | None:
    """A file of the repository that a word names. Raises UsageError for a link to elsewhere."""
    place = root / word
    if word.startswith(("-", "/")) or not place.exists():
        return None
    found = place.resolve()
    if not found.is_relative_to(root.resolve()):
        raise UsageError(f"{word} is a link to a file outside of the repository", "name the file itself")
    return found
