"""Many small files of a day become one, so that a folder that is written for years can still be listed and read.

Whoever reads with other tools meanwhile may miss rows for a moment, and never sees one twice: the merged file appears
when its sources are gone. A note of intent lets the next process finish what a killed one began.
"""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet

from gitml.engines.places import Place
from gitml.files import write_file
from gitml.traffic.journal import SUFFIX
from gitml.traffic.partitions import as_schema, fits

COMPACTING = "compact.lock"
MANY, SMALL = 24, 32 << 20
_INTENT = "compact-*.json"


def compact(target: Place, spool: Path) -> None:
    """Merge where a day has ``MANY`` files smaller than ``SMALL`` bytes.

    One process at a time, and only where all who write have their journals in the folder itself.

    ``spool`` is the folder of the journals: files of a journal that is still there are left alone.
    """
    if target.local is None or not target.local.is_dir() or spool.parent.parent != target.local.parent:
        return
    with _alone(spool.parent / COMPACTING) as alone:
        if not alone:
            return
        for intent in spool.glob(_INTENT):
            _finish(intent, target.local)
        for day in target.local.glob("model=*/date=*"):
            _merge_day(day, spool, target.local)


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _merge_day(day: Path, spool: Path, target: Path) -> None:
    for left in day.glob(".merged-*"):
        left.unlink()  # nobody else merges, and no intent names it: its maker was killed
    files = [path for path in sorted(day.glob("[!.]*.parquet")) if path.stat().st_size < SMALL]
    # After the files: a journal that is gone by now has all its files.
    journals = {path.name.removesuffix(SUFFIX) for path in spool.glob(f"*{SUFFIX}")}
    small = [path for path in files if path.stem.rpartition("-")[0] not in journals]
    for group in _alike(small) if len(small) >= MANY else ():
        _merge(group, spool, target)


def _alike(paths: Sequence[Path]) -> list[list[Path]]:
    """Files whose columns agree."""
    groups: list[tuple[list[Path], pa.Schema]] = []
    for path in paths:
        schema = parquet.read_schema(path).remove_metadata()
        number = next((n for n, (_, known) in enumerate(groups) if fits(known, schema)), None)
        if number is None:
            groups.append(([path], schema))
        else:
            others, known = groups[number]
            groups[number] = [*others, path], pa.unify_schemas([known, schema])
    return [members for members, _ in groups if len(members) > 1]


def _merge(sources: Sequence[Path], spool: Path, target: Path) -> None:
    # Named after the newest, so that names still tell how far the folder goes.
    name = f"{sources[-1].name[:16]}-merged{uuid.uuid4().hex[:12]}-0.parquet"
    hidden = sources[0].with_name(f".merged-{name}")
    schema = pa.unify_schemas([parquet.read_schema(path).remove_metadata() for path in sources])
    with hidden.open("wb") as stream:
        _concatenate(stream, sources, schema)
        stream.flush()
        os.fsync(stream.fileno())
    intent = spool / f"compact-{uuid.uuid4().hex[:12]}.json"
    day = hidden.parent.relative_to(target).as_posix()
    told = {"day": day, "from": [path.name for path in sources], "hidden": hidden.name, "to": name}
    write_file(intent, json.dumps(told).encode())
    _finish(intent, target)


def _concatenate(stream: Any, sources: Sequence[Path], schema: pa.Schema) -> None:
    with parquet.ParquetWriter(stream, schema, compression="zstd") as writer:
        for path in sources:
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches():
                    writer.write_table(as_schema(batch, schema))


def _finish(intent: Path, target: Path) -> None:
    told = json.loads(intent.read_bytes())
    day = target / told["day"]
    if (day / told["hidden"]).exists():
        for source in told["from"]:
            (day / source).unlink(missing_ok=True)
        os.replace(day / told["hidden"], day / told["to"])
    intent.unlink()
