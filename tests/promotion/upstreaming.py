"""Versions that read one another's files, for tests of what depends on what."""

from __future__ import annotations

import hashlib
from typing import Any

from gitml.dvc.lockentries import Content, Entry
from gitml.registry.lineage import lineage_digest
from gitml.registry.record import Record, name_of

APPLICATION = """\
application: shop
models:
  demand: {artifact: demand.skops, metrics: demand.json}
  pricing: {artifact: pricing.skops, metrics: pricing.json, needs: {demand: answers}}
"""


def digest_of(model: str, seed: int) -> str:
    """MD5 of the artifact of a version, as DVC names it."""
    return f"md5:{hashlib.md5(f'{model}{seed}'.encode(), usedforsecurity=False).hexdigest()}"


def made(
    model: str, seed: int, reads: tuple[Content, ...] = (), *, created: str = "", text: str = "", **more: Any
) -> Record:
    """A version that a stage made, reading ``reads``. ``text``: its artifact, where that is YAML."""
    raw = (text or f"{model}{seed}").encode()
    artifact = Content(f"{model}.{'yaml' if text else 'skops'}", digest_of(model, seed), len(raw))
    entry = Entry(("python train.py",), (Content("train.py", f"md5:{seed:032x}", 9), *reads), {}, (artifact,))
    digest = lineage_digest(model, {"train": entry})
    moment = created or f"2026-02-01T00:{seed:02}:00Z"
    return Record.model_validate(
        {
            "model": model,
            "version": name_of(digest, moment),
            "digest": digest,
            "created": moment,
            "origin": "ci",
            "artifact": artifact.path,
            "files": {artifact.path: {"sha256": hashlib.sha256(raw).hexdigest(), "size": len(raw)}},
            "stages": {"train": entry.to_dict()},
            **more,
        }
    )


def reading(upstream: Record, path: str = "") -> tuple[Content, ...]:
    """The artifact of an upstream as an input, maybe imported to another path."""
    content = upstream.contents()[upstream.artifact]
    return (Content(path or content.path, content.digest, content.size),)
