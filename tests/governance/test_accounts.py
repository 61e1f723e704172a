"""`gitml card` and `gitml bom`: what they say, and that the programs of others read it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from huggingface_hub import ModelCard

from conftest import git, gitml, write
from gitml.registry import Record, write_record
from gitml.registry.lineage import external_digest
from gitml.registry.record import File, Metric, Packages, name_of

APPLICATION = """\
application: flights
models:
  delay:
    origin: external
    description: "Will it be *late*? <b>"
    purpose: Whom to rebook
    owner: ops@acme
    tier: high
    card: {limits: "Not for pricing: it never saw fares", license: Apache-2.0}
    artifact: model.skops
    metrics: metrics.json
"""
LOCK = (
    "NumPy==2.4.6 ; python_full_version < '3.12'\nnumpy==2.5.5 ; python_full_version >= '3.12'\nscikit_learn==1.9.1\n"
)
SIGNATURE: dict[str, Any] = {
    "inputs": [{"name": "age", "type": "float64", "nullable": True}],
    "outputs": [{"name": "p_late", "type": "float64"}],
}


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A version of a model with data, metrics and packages, committed."""
    root = tmp_path / "app"
    write(root, {"gitml.yaml": APPLICATION, "requirements.lock": LOCK, "model.skops": "model"})
    sha256, created = hashlib.sha256(b"model").hexdigest(), "2026-01-01T00:00:00Z"
    digest = external_digest("delay", sha256, "a vendor")
    files = {"model.skops": File(sha256=sha256, size=5), "data/rows.parquet": File(sha256="ab" * 32, size=9, rows=1200)}
    packages = Packages(path="requirements.lock", sha256=hashlib.sha256(LOCK.encode()).hexdigest(), python="3.12.4")
    record = Record(
        model="delay", version=name_of(digest, created), digest=digest, created=created, origin="external",
        source="a vendor", artifact="model.skops", files=files, signature=SIGNATURE, packages=packages,
        metrics={"auc": Metric(value=0.7312, low=0.71, high=0.75), "rows": Metric(value=1200.0)},
    )  # fmt: skip
    write_record(root, record)
    git(root, "init", "-qb", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "version")
    return root


def bill(app: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gitml(app, "bom", "delay").out)
    return found


def test_cyclonedx_accepts_the_bill_of_materials(app: Path) -> None:
    told = gitml(app, "bom", "delay")
    assert told.code == 0, told.err
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(told.out) is None


def test_the_bill_has_data_packages_and_hashes_with_their_sources(app: Path) -> None:
    found = bill(app)
    model = found["metadata"]["component"]
    assert model["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(b"model").hexdigest()}]
    assert model["licenses"] == [{"license": {"name": "Apache-2.0"}}]
    parts = {part["bom-ref"]: part for part in found["components"]}
    assert set(parts) == {"data:data/rows.parquet", "pkg:pypi/numpy@2.5.5", "pkg:pypi/scikit-learn@1.9.1"}
    assert parts["data:data/rows.parquet"]["hashes"][0]["content"] == "ab" * 32
    assert parts["pkg:pypi/numpy@2.5.5"]["properties"] == [{"name": "gitml:source", "value": "requirements.lock"}]
    auc = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"][0]
    assert auc == {"type": "auc", "value": "0.7312", "confidenceInterval": {"lowerBound": "0.71", "upperBound": "0.75"}}


def test_packages_are_those_of_the_training_also_when_the_lock_file_changed(app: Path) -> None:
    before = bill(app)
    write(app, {"requirements.lock": "numpy==9.9.9\n"})
    assert bill(app) == before
    git(app, "rm", "-q", "--cached", "requirements.lock")
    git(app, "commit", "-q", "--amend", "-m", "version without its lock file")
    told = gitml(app, "bom", "delay")
    assert "packages are left out" in told.err
    assert json.loads(told.out)["compositions"][0]["aggregate"] == "incomplete"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(told.out) is None


def test_hugging_face_reads_the_card(app: Path) -> None:
    told = gitml(app, "card", "delay", "--output", "CARD.md")
    assert told.code == 0, told.err
    text = (app / "CARD.md").read_text()
    card = ModelCard(text)
    (auc, rows) = card.data.eval_results
    assert (auc.metric_type, auc.metric_value, auc.task_type) == ("auc", 0.7312, "tabular-classification")
    assert (rows.metric_value, card.data.license, card.data.library_name) == (1200.0, "Apache-2.0", "sklearn")
    assert hashlib.sha256(b"model").hexdigest() in text
    assert "this clone has no ledger that can be read" in text, "what is not known is not left out"
    assert "<b>" not in text
    assert "Not for pricing" in text


def test_a_card_is_the_same_bytes_and_its_page_loads_nothing(app: Path) -> None:
    first, again = (gitml(app, "card", "delay", "--html").out for _ in range(2))
    assert first == again
    assert "<script" not in first
    assert "&lt;b&gt;" in first
    assert "default-src &#x27;none&#x27;" in first or "default-src 'none'" in first


def test_what_only_people_know_is_missed_where_a_model_can_do_harm(app: Path) -> None:
    assert "nobody says" not in gitml(app, "check").out
    write(app, {"gitml.yaml": APPLICATION.replace("    owner: ops@acme\n", "").replace("limits:", "users:")})
    told = gitml(app, "check")
    assert "of a model of tier high nobody says: owner, card.limits" in told.out + told.err
    assert "nobody says" in gitml(app, "card", "delay").out
    write(app, {"gitml.yaml": APPLICATION.replace("    owner: ops@acme\n", "").replace("tier: high", "tier: low")})
    assert "nobody says" not in gitml(app, "check").out
