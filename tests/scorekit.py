"""An application with one version, and data sets for it with the answers that are right."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd
import pyarrow.parquet as parquet

from gitml.inference.score import ScoreCall
from gitml.registry import Record, write_record
from gitml.registry.lineage import external_digest
from gitml.registry.record import File, name_of
from serving_models import SIGNATURE, columns, fitted

APPLICATION = """\
application: flights
models:
  delay: {origin: external, artifact: artifacts/delay/model.skops, metrics: artifacts/delay/metrics.json}
"""


def register(root: Path, artifact: Path, created: str, model: str = "delay") -> Record:
    """A version of the model as it stands, without the time that `gitml register` takes."""
    sha256 = hashlib.sha256(artifact.read_bytes()).hexdigest()
    digest = external_digest(model, sha256, "here")
    name = artifact.relative_to(root).as_posix()
    record = Record(
        model=model, version=name_of(digest, created), digest=digest, created=created, origin="external",
        source="here", artifact=name, files={name: File(sha256=sha256, size=artifact.stat().st_size)},
        signature=SIGNATURE,
    )  # fmt: skip
    write_record(root, record)
    return record


def rows(count: int, seed: int) -> pd.DataFrame:
    return columns(count, seed + 5).assign(flight=[f"{seed}-{number:04}" for number in range(count)])


def call(data: Path, **changes: object) -> ScoreCall:
    return ScoreCall(**{"input": str(data), "output": str(data.parent / "scores"), **changes})


def found(output: Path) -> pd.DataFrame:
    tables = [parquet.read_table(p, partitioning=None).to_pandas() for p in sorted(output.rglob("[!._]*.parquet"))]
    return pd.concat(tables).sort_values("flight", ignore_index=True)


def expected(*seeds: int) -> pd.DataFrame:
    table = pd.concat([rows(100, seed) for seed in seeds])
    known = table.assign(carrier=table["carrier"].where(table["carrier"] != "ZZ", "?"))
    answers = fitted("boosting").predict_proba(known.drop(columns="flight"))[:, 1]
    return pd.DataFrame({"flight": table["flight"], "p_late": answers}).sort_values("flight", ignore_index=True)
