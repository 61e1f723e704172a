"""What the default branch runs is the same on every CI system: GitHub's own workflows, and the plan of all others."""

from __future__ import annotations

import re
from typing import Any

from ruamel.yaml import YAML

from ci.test_jenkins import governed
from gitml.ci.github.export import EXPORT_TOKEN
from gitml.ci.github.workflows import render
from gitml.ci.plan import READ_TOKEN, TOKEN, plan
from gitml.ci.wanted import OUTBOX

# Those of branches and pull requests, which each system has in its own way.
_OF_BRANCHES = {"train", "ready", "review", "fork", "fork-report"}


def test_every_workflow_of_github_is_planned_with_the_same_commands_and_secrets() -> None:
    source = governed()
    kinds = {
        path.removeprefix(".github/workflows/gitml-").removesuffix(".yml"): text
        for path, text in render(source).items()
    }
    planned = {one.kind: one for one in plan(source)}
    assert set(planned) == set(kinds) - _OF_BRANCHES
    for kind, pipeline in planned.items():
        there: dict[str, Any] = YAML(typ="safe", pure=True).load(kinds[kind])["jobs"]
        held: dict[str, set[str]] = {}
        for step in (step for job in there.values() for step in job["steps"] if "gitml " in step.get("run", "")[:6]):
            held.setdefault(step["run"], set()).update(re.findall(r"secrets\.(\w+)", str(step.get("env", {}))))
        mine = {
            job.command: set(job.secrets.values()) - {TOKEN, READ_TOKEN, OUTBOX}
            for step in pipeline.steps
            for job in step
        }
        exact = {command for command in mine if re.fullmatch(r"gitml [a-z -]+", command)}
        assert {command: mine[command] for command in exact} == {
            command: held[command] - {EXPORT_TOKEN} for command in exact
        }, kind
        # Of the others the place of the hand-over has another name; `gitml ci replay due` only saves an installation.
        assert {c.split(" --out")[0] for c in held} - {c.split(" --out")[0] for c in mine} <= {
            "gitml ci replay due --json"
        }
