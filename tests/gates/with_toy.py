"""Everything that knows the gates, in a process of its own in which there is one more: JSON to stdout."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

from gates import toy_gate
from gitml.gates.table import GATES
from gitml.jsontext import plain

GATES["brevity"] = toy_gate

import generate  # noqa: E402
import yaml  # noqa: E402

from gitml.gate.words import judgement_of  # noqa: E402
from gitml.policy.decision import decide  # noqa: E402
from gitml.reports.gatecomment import Footer, comment  # noqa: E402
from gitml.spec.application import Application  # noqa: E402
from gitml.spec.policy import POLICY, parse_policy  # noqa: E402
from gitml.spec.policycheck import gates_can_pass  # noqa: E402
from gitml.spec.validate import build  # noqa: E402
from gitml.spec.yamlfile import parse  # noqa: E402
from policy.kit import case  # noqa: E402

RULES = {"environments": {"staging": {}, "production": {"gates": {"brevity": 3}}}}
APPLICATION = b"application: app\nmodels: {delay: {artifact: m.skops, metrics: m.json, better: {a: higher}}}\n"


def found() -> dict[str, Any]:
    raw = yaml.safe_dump(RULES, sort_keys=False).encode()
    policy = parse_policy(raw)
    decision = decide(policy, case())
    judged: Any = SimpleNamespace(decision=decision, refused=())
    judged.parts = (judged,)
    app = build(Application, parse(APPLICATION, "gitml.yaml"))
    return {
        "verdict": plain(decision.verdicts["brevity"]),
        "comment": comment(judgement_of(judged), Footer("a" * 40, "b" * 40, "c" * 64, "")),
        "page": generate.gates_page(),
        "schema": json.loads(generate.schema_text("policy"))["$defs"]["Gates"]["properties"]["brevity"],
        "problems": [p.message for p in gates_can_pass(policy, parse(raw, POLICY), app, {})],
    }


json.dump(found(), sys.stdout)
