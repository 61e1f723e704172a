"""The bill of materials of a version: CycloneDX 1.6 for machine learning (ECMA-424), derived from its record."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from gitml.governance.described import DescribedVersion
from gitml.registry.record import Metric

_SPACE = uuid.UUID("6f8f4f0e-6f0b-5c0e-9c7d-2b7e1d0a9f31")


def bill(version: DescribedVersion) -> dict[str, Any]:
    """The same for the same record and gitml.yaml. Packages have no licences: lock files do not say them."""
    record = version.record
    data = [_data(version, path) for path in version.data]
    packages = [_package(version, *pin) for pin in version.packages or ()]
    model = _model(version)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_SPACE, record.digest)}",
        "version": 1,
        "metadata": {"timestamp": record.created, "component": model},
        "components": [*data, *packages],
        "dependencies": [
            {"ref": model["bom-ref"], "dependsOn": sorted(part["bom-ref"] for part in (*data, *packages))}
        ],
        "compositions": [
            {
                "aggregate": "incomplete" if version.packages is None else "complete",
                "assemblies": [model["bom-ref"]],
            }
        ],
    }


def _model(version: DescribedVersion) -> dict[str, Any]:
    record, model = version.record, version.model
    file = record.files[record.artifact]
    made: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": f"model:{record.model}@{record.version}",
        "name": record.model,
        "version": record.version,
    }
    if model.description:
        made["description"] = model.description
    if model.card and model.card.license:
        # Only SPDX's own list may stand under `id`; a name is right for any.
        made["licenses"] = [{"license": {"name": model.card.license}}]
    made["hashes"] = [{"alg": "SHA-256", "content": file.sha256}]
    made["modelCard"] = {
        "bom-ref": f"card:{record.model}@{record.version}",
        "modelParameters": {
            "datasets": [{"ref": f"data:{path}"} for path in version.data],
            "inputs": [{"format": _column(column)} for column in _side(version, "inputs")],
            "outputs": [{"format": _column(column)} for column in _side(version, "outputs")],
        },
        "quantitativeAnalysis": {
            "performanceMetrics": [_metric(name, metric) for name, metric in sorted(record.metrics.items())]
        },
        **_considerations(version),
    }
    made["properties"] = [
        _property("source", version.path),
        _property("lineage", record.digest),
        _property("artifact", record.artifact),
        _property("origin", record.origin),
        *([_property("commit", record.commit)] if record.commit else []),
        *([_property("owner", model.owner)] if model.owner else []),
        *([_property("tier", model.tier)] if model.tier else []),
    ]
    return made


def _considerations(version: DescribedVersion) -> dict[str, Any]:
    model, found = version.model, {}
    if model.purpose:
        found["useCases"] = [model.purpose]
    if model.card and model.card.users:
        found["users"] = [model.card.users]
    if model.card and model.card.limits:
        found["technicalLimitations"] = [model.card.limits]
    return {"considerations": found} if found else {}


def _side(version: DescribedVersion, side: str) -> list[Mapping[str, Any]]:
    return list((version.record.signature or {}).get(side, ()))


def _column(column: Mapping[str, Any]) -> str:
    return f"{column['name']}: {column['type']}" + (", may be missing" if column.get("nullable") else "")


def _metric(name: str, metric: Metric) -> dict[str, Any]:
    found: dict[str, Any] = {"type": name, "value": repr(metric.value)}
    if metric.low is not None and metric.high is not None:
        found["confidenceInterval"] = {"lowerBound": repr(metric.low), "upperBound": repr(metric.high)}
    return found


def _data(version: DescribedVersion, path: str) -> dict[str, Any]:
    file = version.record.files[path]
    return {
        "type": "data",
        "bom-ref": f"data:{path}",
        "name": path,
        "hashes": [{"alg": "SHA-256", "content": file.sha256}],
        "data": [{"type": "dataset", "name": path}],
        "properties": [
            _property("source", version.path),
            _property("rows", str(file.rows)),
            _property("bytes", str(file.size)),
        ],
    }


def _package(version: DescribedVersion, name: str, pin: str) -> dict[str, Any]:
    assert version.record.packages
    purl = f"pkg:pypi/{re.sub(r'[-_.]+', '-', name)}@{pin}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": pin,
        "purl": purl,
        "properties": [_property("source", version.record.packages.path)],
    }


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"gitml:{name}", "value": value}
