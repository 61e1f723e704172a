"""From a trained branch to a signed promotion: real Git, DVC, act and HTTP, the workflows that gitml renders."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import gitml
from loop.city_kit import BRANCHES, PATIENCE, City

pytestmark = [pytest.mark.slow, pytest.mark.nightly]


def test_from_a_branch_to_a_signed_promotion(city: City, tmp_path: Path) -> None:
    loop = city.loop
    began = loop.tip("main")
    pushed = loop.change({"params.yaml": "rate: 0.7\n"}, branch="faster")
    training = loop.pull("faster")
    loop.until(lambda: loop.tip("faster") != pushed and loop.status(loop.tip("faster")), PATIENCE)
    loop.settled()
    city.approve(training, "olga")
    city.until_gate(loop.tip("faster"), "success")
    loop.settled()
    loop.merge(training)

    promotions = loop.until(lambda: [p for p in city.api("GET", "/pulls") if BRANCHES in p["head"]["ref"]], PATIENCE)
    (pull,) = promotions
    number, head = pull["number"], pull["head"]["sha"]
    city.until_gate(head, "pending")
    loop.settled()
    assert pull["user"]["type"] == "Bot"
    shut = city.api("PUT", f"/pulls/{number}/merge", {}, good=False)
    assert "message" in shut
    city.approve(number, "olga")
    loop.settled()
    assert city.status(head) == "pending", "risk has not approved yet"
    city.approve(number, "rita")
    city.until_gate(head, "success")
    loop.settled()
    merged = loop.merge(number)
    loop.until(lambda: loop.works.runs("push")[-1]["head_sha"] == merged)
    loop.settled()

    found = city.evidence(tmp_path / "audit")
    env = {"GITHUB_TOKEN": loop.works.kit.token["ada"], "GITHUB_REPOSITORY": loop.works.repo.full_name}
    env |= {"GITHUB_SERVER_URL": loop.works.kit.url, "GITHUB_API_URL": f"{loop.works.kit.url}/api/v3"}
    audited = gitml(tmp_path / "audit", "audit", "--since", began, env=env)
    assert audited.code == 0, audited.out + audited.err
    assert all(found), [b.why_not for b in found]
    said = [(b.statement.binding.kind, b.statement.binding.result) for b in found if b.statement]
    for wanted in ("trained", "evaluated", "gate", "approved", "promoted"):
        assert (wanted, "passed") in said, f"{said}\n{loop.logs()}"
    approved = next(b.statement for b in found if b.statement and b.statement.binding.kind == "approved")
    assert sorted(approved.details["approvers"]) == ["olga", "rita"]
    assert (approved.binding.head, approved.binding.pull) == (head, number)
