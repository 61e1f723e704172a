"""What a training read, as other people's tools ask for it."""

from __future__ import annotations

import base64
import json
from hashlib import sha256

from gitml.cijobs.materials import materials
from gitml.dvc.lockentries import Content, Entry
from gitml.registry.lineage import lineage_digest
from gitml.registry.record import Packages, Record, name_of

RAW, TABLE = Content("data/raw", f"md5:{'1' * 32}.dir", 9, 2), Content("data/table.csv", f"md5:{'2' * 32}", 9)
CODE, MODEL = Content("train.py", f"md5:{'3' * 32}", 9), Content("model.skops", f"md5:{'4' * 32}", 9)
STAGES = {
    "raw": Entry(("",), (), {}, (RAW,)),
    "prepare": Entry(("python prepare.py",), (RAW,), {"params.yaml": {"days": 7}}, (TABLE,)),
    "train": Entry(("python train.py",), (CODE, TABLE), {"params.yaml": {"rate": 0.1}, "b.yaml": {"x": 1}}, (MODEL,)),
}


def record() -> Record:
    digest, created = lineage_digest("m", STAGES), "2026-02-01T00:00:00Z"
    return Record(
        model="m",
        version=name_of(digest, created),
        digest=digest,
        created=created,
        origin="ci",
        artifact="model.skops",
        files={"model.skops": {"sha256": "5" * 64, "size": 9}},  # type: ignore[dict-item]
        packages=Packages(path="uv.lock", sha256="6" * 64, python="3.12"),
        stages={name: entry.to_dict() for name, entry in STAGES.items()},
    )


def test_data_params_and_packages_with_their_digests() -> None:
    found = {m["name"]: m for m in materials(record())}
    assert list(found) == ["data/raw", "train.py", "b.yaml", "params.yaml", "uv.lock"], "what a stage made is no input"
    assert found["data/raw"]["digest"] == {"md5": "1" * 32}
    assert found["data/raw"]["mediaType"] == "application/vnd.dvc.dir+json"
    assert found["train.py"] == {"name": "train.py", "digest": {"md5": "3" * 32}}
    assert found["uv.lock"]["digest"] == {"sha256": "6" * 64}
    raw = base64.b64decode(found["params.yaml"]["content"])
    assert json.loads(raw) == {"days": 7, "rate": 0.1}
    assert found["params.yaml"]["digest"] == {"sha256": sha256(raw).hexdigest()}
