"""Reading parameters and writing files: what every stage does in the same way."""

import io
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError


class StageError(Exception):
    """A stage cannot go on; the message says what is wrong and what to do."""


def run(main: Callable[[], None]) -> None:
    """Run the stage; a StageError ends it with exit code 1 and one readable line."""
    try:
        main()
    except StageError as error:
        sys.exit(f"error: {error}")


def say(message: str) -> None:
    """One line of progress, shown at once also when the output is piped."""
    print(message, flush=True)


def params(*groups: str, path: Path = Path("params.yaml")) -> list[Mapping[str, Any]]:
    """The named groups of params.yaml, in the order asked for."""
    values = read_yaml(path) or {}
    missing = [group for group in groups if not isinstance(values.get(group), dict)]
    if missing:
        raise StageError(f"{path} has no group {', '.join(missing)}: add it, see pipelines/README.md")
    return [values[group] for group in groups]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place only when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files that only their owner can read; outputs are as readable as any checked-out file.
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def rounded(value: float) -> float:
    """Six significant digits: enough for every metric here, and stable in diffs."""
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be written to a report")
    return float(f"{value:.6g}")


def write_json(path: Path, value: Any, *, compact: bool = False) -> None:
    """Write JSON; NaN and infinity are refused, a reader would choke on them."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, indent=None if compact else 2)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read what an earlier stage wrote."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StageError(f"{path} cannot be read: {error}. Run the stage that writes it") from error


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write Parquet whose bytes depend on the rows alone: no index and no pandas metadata."""
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_yaml(path: Path) -> Any:
    """Read YAML as DVC and the record of the run do, by YAML 1.2: to PyYAML, which reads 1.1, `010` is 8."""
    try:
        return YAML(typ="safe").load(path)
    except (OSError, YAMLError) as error:
        raise StageError(f"{path} cannot be read: {error}") from error


def write_yaml(path: Path, value: Any, head: str = "") -> None:
    """Write YAML 1.2 below the comment ``head``, mappings in the order that they have."""
    text = io.StringIO()
    YAML().dump(value, text)
    with replacing(path) as temporary:
        temporary.write_text(head + text.getvalue(), encoding="utf-8")


def read_table(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read Parquet of an earlier stage."""
    try:
        return pd.read_parquet(path, columns=columns)
    except (OSError, ValueError) as error:
        raise StageError(f"{path} cannot be read: {error}. Run the stage that writes it") from error
