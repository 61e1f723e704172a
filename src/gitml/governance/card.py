"""The card of a version (Mitchell et al. 2019, "Model cards for model reporting"), derived from what is recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gitml.git.ledger import BRANCH as LEDGER
from gitml.governance.described import DescribedVersion
from gitml.registry.record import Metric
from gitml.reports.cardfacts import CardLine, CardMetric, CardSection, ModelCard
from gitml.reports.figures import between, decimals, figure
from gitml.spec.application import format_of
from gitml.spec.card import Card
from gitml.spec.root import APPLICATION

_CLASSES = ("accuracy", "auc", "brier", "f1", "log_loss", "macro_f1", "precision", "recall")
_NUMBERS = ("mae", "mape", "mse", "r2", "rmse")
_LIBRARIES = {"skops": "sklearn", "onnx": "onnx"}
_UNTOLD = "nobody says"
_MOST_INPUTS = 10


def card(version: DescribedVersion) -> ModelCard:
    """The same for the same record, deployments and gitml.yaml."""
    record, model, told = version.record, version.model, version.model.card or Card()
    kind = format_of(version.application.models, record.model, record.artifact)
    sections = (
        CardSection("Use", tuple(_use(version))),
        CardSection("Who decided on it", tuple(_decisions(version))),
        CardSection("How good it is", tuple(_quality(version))),
        CardSection("What it goes by", tuple(_importance(version)), is_exact=True),
        CardSection("Inputs and outputs", tuple(_signature(version)), is_exact=True),
        CardSection("Made of", tuple(_made_of(version)), is_exact=True),
        CardSection("Identity", tuple(_identity(version)), is_exact=True),
    )
    return ModelCard(
        f"{record.model} {record.version}", record.model, record.version, model.description,
        told.license or "", _LIBRARIES.get(kind or "", ""), _task(record.metrics),
        ", ".join(version.data) or "not recorded",
        tuple(CardMetric(name, m.value, between(m.low, m.high, _places(m))) for name, m in record.metrics.items()),
        sections,
    )  # fmt: skip


def _task(metrics: Mapping[str, Metric]) -> str:
    """In Hugging Face's words, as far as the metrics tell."""
    if any(name in _CLASSES for name in metrics):
        return "tabular-classification"
    return "tabular-regression" if any(name in _NUMBERS for name in metrics) else "other"


def _use(version: DescribedVersion) -> Iterator[CardLine]:
    model, own = version.model, version.model.card or Card()
    told: dict[str, str | None] = {
        "purpose": model.purpose,
        "limits": own.limits,
        "users": own.users,
        "owner": model.owner,
        "tier": model.tier,
        "licence": own.license,
    }
    for name, value in told.items():
        yield CardLine(name, value or _UNTOLD, APPLICATION)
    for place in version.places:
        yield CardLine(
            "runs in", f"{place.environment} ({place.role})", f"models/{version.record.model}/{place.environment}.yaml"
        )


def _quality(version: DescribedVersion) -> Iterator[CardLine]:
    for name, metric in version.record.metrics.items():
        places = _places(metric)
        interval = between(metric.low, metric.high, places)
        better = version.model.better.get(name)
        value = figure(metric.value, places) + (f" (95 %: {interval})" if interval else "")
        yield CardLine(name, value + (f", {better} is better" if better else ""), version.path)


def _decisions(version: DescribedVersion) -> Iterator[CardLine]:
    if version.decisions is None:
        yield CardLine("approvals", "not known here: this clone has no ledger that can be read", LEDGER)
        return
    for one in version.decisions:
        report = f": {one.report}" if one.report else ""
        yield CardLine(
            one.about, f"{one.result}, {one.time}, by {', '.join(one.people) or 'nobody'}{report}", one.event
        )
    if not version.decisions:
        yield CardLine("approvals", "none is signed", LEDGER)


def _importance(version: DescribedVersion) -> Iterator[CardLine]:
    told, path = version.importance, version.record.roles.get("importance", "")
    for one in told.inputs[:_MOST_INPUTS] if told else ():
        places = decimals(None if one.low is None or one.high is None else one.high - one.low)
        interval = between(one.low, one.high, places)
        value = f"{figure(one.value, places)} of {told.metric}" if told else ""
        yield CardLine(one.name, value + (f" (95 %: {interval})" if interval else ""), path)


def _places(metric: Metric) -> int:
    return decimals(None if metric.low is None or metric.high is None else metric.high - metric.low)


def _signature(version: DescribedVersion) -> Iterator[CardLine]:
    signature: Mapping[str, Any] = version.record.signature or {}
    for side in ("inputs", "outputs"):
        for column in signature.get(side, ()):
            missing = ", may be missing" if column.get("nullable") else ""
            yield CardLine(side.removesuffix("s"), f"{column['name']}: {column['type']}{missing}", version.path)


def _made_of(version: DescribedVersion) -> Iterator[CardLine]:
    record = version.record
    for path in version.data:
        file = record.files[path]
        yield CardLine("data", f"{path}: {file.rows:,} rows, SHA-256 {file.sha256}", version.path)
    if record.source:
        yield CardLine("from", record.source, version.path)
    if record.packages:
        count = "a number not known here of" if version.packages is None else str(len(version.packages))
        yield CardLine("packages", f"{count} packages, Python {record.packages.python}", record.packages.path)


def _identity(version: DescribedVersion) -> Iterator[CardLine]:
    record = version.record
    told = {
        "lineage": record.digest,
        "artifact": f"{record.artifact}, SHA-256 {record.files[record.artifact].sha256}",
        "trained": record.created,
        "origin": record.origin,
        "commit": record.commit or "none",
    }
    for name, value in told.items():
        yield CardLine(name, value, version.path)
