"""Everything that knows the kinds of evidence, in a process of its own in which there is one more: JSON to stdout."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from typing import Any

from gitml.kinds import KINDS, EvidenceRow

KINDS["inspected"] = EvidenceRow("ci", predicate="https://example.org/inspected/v1", lag=timedelta(days=2))

from gitml.evidence import dsse  # noqa: E402
from gitml.evidence.keys import generate, signing_key  # noqa: E402
from gitml.evidence.statement import Binding, Statement, parse_payload, to_payload  # noqa: E402
from gitml.evidence.trust import believe  # noqa: E402
from gitml.fields import parse_moment  # noqa: E402
from gitml.kinds import signed_by  # noqa: E402
from gitml.policy.decision import decide  # noqa: E402
from gitml.spec.policy import Policy  # noqa: E402
from policy.kit import NEW, NEW_FILE, NOW, REPOSITORY, case, facts, proof  # noqa: E402

ABOUT = {"kind": "inspected", "repository": REPOSITORY, "time": "2026-11-25T11:00:00Z"}


def found() -> dict[str, Any]:
    private, public = generate("ci")
    policy = Policy.model_validate(
        {
            "environments": {"staging": {}, "production": {"gates": {"evidence": {"inspected": "30d"}}}},
            "keys": {"ci": {"public": public, "owner": "CI", "purposes": ["inspected"], "from": "2026-01-01"}},
        }
    )
    statement = Statement(Binding.model_validate({**ABOUT, "model": "delay", "version": NEW, "artifact": NEW_FILE}))
    payload = to_payload(statement)
    envelope = dsse.sign(payload, signing_key(private))
    proofs = (proof("inspected", environment="production"),)
    return {
        "predicate": json.loads(payload)["predicateType"],
        "same": parse_payload(payload) == statement,
        "believed": bool(believe(envelope, policy.keys, REPOSITORY, NOW)),
        "early": believe(envelope, policy.keys, REPOSITORY, parse_moment("2026-11-25")).why_not,
        "gate": decide(policy, case(facts=facts(proofs=proofs))).verdicts["evidence"].phase,
        "signed": signed_by("ci"),
    }


json.dump(found(), sys.stdout)
