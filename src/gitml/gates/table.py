"""The gates by their key in policy.yaml, in the order in which they are judged and shown."""

from __future__ import annotations

from gitml.gates import (
    audit_age,
    canary,
    capacity,
    champion,
    data_age,
    drift,
    evidence,
    fairness,
    format,  # noqa: A004 - the gate's name
    harm,
    latency,
    metrics,
    quality,
    reproduced,
    review_age,
    signature,
    size,
    slices,
    substantial,
    upstream,
)
from gitml.gates.base import PolicyGate

GATES: dict[str, PolicyGate] = {
    "metrics": metrics,
    "champion": champion,
    "reproduced": reproduced,
    "format": format,
    "signature": signature,
    "data_age": data_age,
    "size": size,
    "latency": latency,
    "capacity": capacity,
    "slices": slices,
    "fairness": fairness,
    "audit_age": audit_age,
    "review_age": review_age,
    "substantial": substantial,
    "quality": quality,
    "drift": drift,
    "harm": harm,
    "canary": canary,
    "upstream": upstream,
    "evidence": evidence,
}
