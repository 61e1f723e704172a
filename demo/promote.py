"""Promote: the gate shuts out who may not decide, people with the right roles open it, and evidence is signed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from box import APP, PLACE, Box, gitml, need, say, set_secret, step, until

KEYS = PLACE / "keys"
CI = ("trained", "evaluated", "reproduced", "gate", "approved", "promoted", "rolled-back")
AGENT, LOOKS = ("deployed",), ("look",)
GATE = "gitml/gate"
# Workflows that nothing waits for: what they bring starts the gate again.
BESIDE = ("gitml monitor", "gitml reproduce")


def make_keys() -> None:
    """Who signs: CI and the agents, each with a key of its own. The public halves are part of the policy."""
    step("Three keys: for what CI signs, for what the agents report, for what was seen of live traffic")
    KEYS.mkdir(mode=0o700)
    lines = ["keys:\n"]
    for name, purposes in (("ci", CI), ("agent", AGENT), ("looks", LOOKS)):
        words = [word for purpose in purposes for word in ("--purpose", purpose)]
        made = gitml("evidence", "keygen", str(KEYS / name), "--owner", f"demo {name}", *words)
        lines += made.splitlines(keepends=True)[1:]
    path = APP / "policy.yaml"
    path.write_text(path.read_text().rstrip() + "\n\n" + "".join(lines))
    say("in policy.yaml, which the gate and the agents read from main alone")


def guard(box: Box) -> None:
    step("main asks for what the policy needs; keys are secrets that jobs of main alone get")
    gitml("doctor", "--fix", "--json", folder=APP, env=box.forge("ada"), may_fail=True)
    set_secret("GITML_SIGNING_KEY", (KEYS / "ci").read_text(), "gitml")
    set_secret("GITML_LOOKS_KEY", (KEYS / "looks").read_text(), "gitml-looks")
    said = json.loads(gitml("doctor", "--json", folder=APP, env=box.forge("ada"), may_fail=True))
    for point in said:
        if point["mark"] == "ok" and point["point"] in ("gate on main", "environment gitml", "signing key", "keys"):
            say(f"{point['point']}: {point['what']}")


def merge_training(box: Box, number: int) -> None:
    step("Olga, of operations, reads the report and approves; Ada merges")
    review(box, "olga", number)
    merge(box, "ada", number)


def show_staging(box: Box) -> None:
    step("The bot proposes the new version for staging, once CI has tried and signed it on main")
    pull = proposal(box, "staging")
    number = pull["number"]
    show_body(pull)
    verdict(box, number, "pending", "failure")

    step("Refused: Ada, who trained it, approves it herself")
    review(box, "ada", number)
    comment = gate_says(box, number, "ada")
    for line in comment.splitlines():
        if line.startswith("| `ada`"):
            say(line)
    refused_merge(box, number)

    step("Refused: Ada posts the gate's status by hand")
    head = pull["head"]["sha"]
    with box.api("ada") as api:
        body = {"context": GATE, "state": "success", "description": "all is well, trust me"}
        answer = api.post(f"statuses/{head}", json=body)
        need(answer.status_code == 201, f"the status was not taken: {answer.text[:300]}")
    refused_merge(box, number)

    step("Olga approves: the gate opens, what it saw is signed, and it is merged")
    review(box, "olga", number)
    verdict(box, number, "success")
    merge(box, "ada", number)
    say(f"merged: {box.home}/pull/{number}")


def show_production(box: Box) -> int:
    """The number of the pull request that brought the champion."""
    step("The bot proposes for production what runs in staging")
    number = proposal(box, "production")["number"]
    step("Two people of different roles approve: operations and risk")
    review(box, "olga", number)
    gate_says(box, number, "olga")
    refused_merge(box, number)
    review(box, "rita", number)
    verdict(box, number, "success")
    merge(box, "ada", number)
    say(f"merged: {box.home}/pull/{number}")
    return number


def proposal(box: Box, environment: str) -> dict[str, Any]:
    """The bot's pull request for an environment, as soon as it is open and has been judged."""
    with told(box) as api:

        def there() -> dict[str, Any] | None:
            pulls = api.get("pulls").json()
            branch = f"gitml/promote/delay/{environment}/{newest(api)}"
            found = [p for p in pulls if p["head"]["ref"] == branch]
            return found[0] if found and status(api, found[0]["head"]["sha"]) else None

        pull = until(there)
    say(f"{box.home}/pull/{pull['number']}  by {pull['user']['login']}: {pull['title']}")
    return pull


def newest(api: httpx.Client) -> str:
    """The newest version on main; the one that training brought."""
    names = [entry["name"] for entry in api.get("contents/models/delay/versions").json()]
    return str(max(names)).removesuffix(".json")


def show_body(pull: dict[str, Any], most: int = 14) -> None:
    for line in [line for line in str(pull["body"]).splitlines() if line and not line.startswith("<!--")][:most]:
        say(line)


def review(box: Box, login: str, number: int) -> None:
    with box.api(login) as api:
        head = api.get(f"pulls/{number}").json()["head"]["sha"]
        answer = api.post(f"pulls/{number}/reviews", json={"event": "APPROVE", "commit_id": head})
        need(answer.status_code == 200, f"{login}'s review was not taken: {answer.text[:300]}")


def merge(box: Box, login: str, number: int) -> None:
    """As `gitml merge` does it: exactly the commit whose gate is open."""
    verdict(box, number, "success")
    gitml("merge", str(number), "--wait", "120", folder=APP, env=box.forge(login))


def refused_merge(box: Box, number: int) -> None:
    with box.api("ada") as api:
        answer = api.put(f"pulls/{number}/merge", json={})
    need(answer.status_code == 405, f"merging answered {answer.status_code}: {answer.text[:300]}")
    say(f"the forge refuses to merge it: {answer.json()['message']}")


def verdict(box: Box, number: int, *wanted: str) -> dict[str, Any]:
    """The gate's status of the head, as soon as it is one of these."""
    with told(box) as api:

        def there() -> dict[str, Any] | None:
            head = api.get(f"pulls/{number}").json()["head"]["sha"]
            found = status(api, head)
            return found if found and found["state"] in wanted and settled(api) else None

        found = until(there)
    say(f"{GATE}: {found['state']}, {found['description']}")
    return found


def gate_says(box: Box, number: int, login: str) -> str:
    """The gate's comment, as soon as it speaks of somebody's review."""
    with told(box) as api:

        def there() -> dict[str, Any] | None:
            for comment in api.get(f"issues/{number}/comments").json():
                if "gitml:report" in comment["body"] and f"{login}" in comment["body"] and settled(api):
                    return dict(comment)
            return None

        return str(until(there)["body"])


def status(api: httpx.Client, head: str) -> dict[str, Any] | None:
    """The newest status that the gate itself posted."""
    found = [s for s in api.get(f"commits/{head}/statuses").json() if s["context"] == GATE]
    found = [s for s in found if s["creator"]["login"].endswith("[bot]")]
    return dict(found[0]) if found else None


def settled(api: httpx.Client) -> bool:
    """Whether all workflows have ended but those that run beside."""
    runs = api.get("actions/runs").json()["workflow_runs"]
    return all(run["status"] == "completed" for run in runs if run["name"] not in BESIDE)


@contextmanager
def told(box: Box) -> Iterator[httpx.Client]:
    with box.api("ada") as api:
        yield api
