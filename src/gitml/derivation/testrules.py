"""The rules of a candidate's test as a commit of main has them: for the job that signs, the gate and proposals."""

from __future__ import annotations

import hashlib

from gitml.git.tree import Tree
from gitml.jsontext import canonical
from gitml.spec import parse_application
from gitml.spec.canary import CanaryRules
from gitml.spec.canarytest import decides_elsewhere
from gitml.spec.policy import POLICY, parse_policy
from gitml.spec.root import APPLICATION

_WHAT_FOLLOWS = {"steps", "modes", "every", "approvals", "propose_per_week", "merge", "guard", "replay"}


def rules_on(tree: Tree, model: str, environment: str) -> CanaryRules | None:
    """None where nobody judges candidates there. Raises SpecError for a policy.yaml that cannot be read."""
    policy = parse_policy(tree.read(POLICY) or b"")
    here = policy.environments.get(environment)
    return here.canary_of(model) if here else None


def digest_of_test(tree: Tree, model: str, environment: str, rules: CanaryRules) -> str:
    """What an evaluation calls ``rules``: all that decides the test, and not what follows from it."""
    # Tests that began before there were clusters go on.
    unsaid = set() if rules.clusters else {"clusters"}
    told = rules.model_dump(mode="json", exclude=_WHAT_FOLLOWS | unsaid)
    app = parse_application(tree.read(APPLICATION) or b"")
    return hashlib.sha256(canonical([model, environment, told, *decides_elsewhere(rules, app, model)])).hexdigest()
