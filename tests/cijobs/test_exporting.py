"""What was exported from traffic comes to main by one pull request a model, which only adds days."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gitml.cijobs.exporting import ExportProposal, propose_exports
from promotion.gating import Gated
from promotion.promoting import GITML, MemoryTown

Build = Callable[..., Gated[MemoryTown]]
POINTER = "outs:\n- md5: {0}.dir\n  size: 10\n  nfiles: 1\n  hash: md5\n  path: delay\n"
TRAFFIC = "traffic: {at: s3://acme/traffic, export: {delay: {in: production, label: late, labels_within: 1d}}}\n"


def day(rows: int) -> dict[str, Any]:
    return {"at": "2026-03-05T00:00:00Z", "rows": rows, "sha256": "a" * 64, "size": 9}


def hand_over(g: Gated[Any], digit: str, *, pointer: str = POINTER, label: str = "late", **days: int) -> None:
    folder = g.town.here / ".gitml-ci/gitml-export/delay"
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"model": "delay", "environment": "production", "arms": ["champion"], "label": label}
    told = {
        "settings": {**settings, "labels_within": 86400},
        "days": {f"2026-03-{d[1:]}": day(n) for d, n in days.items()},
    }
    (folder / "data.dvc").write_text(pointer.replace("{0}", digit * 32))
    (folder / "lineage.json").write_text(json.dumps({"format": "gitml traffic export 1", **told}))


@pytest.fixture
def g(new_gated_here: Build) -> Gated[Any]:
    made = new_gated_here()
    made.town.push({"gitml.yaml": f"{GITML}{TRAFFIC}"})
    with made.town.hub() as hub:
        hub.guards.let_jobs_open(yes=True)
    return made


def proposed(g: Gated[Any]) -> ExportProposal:
    with g.place() as place:
        return propose_exports(place)[0]


def test_days_come_by_one_pull_request_that_is_kept_up_to_date(g: Gated[Any]) -> None:
    with g.place() as place:
        assert propose_exports(place) == ()
    hand_over(g, "a", d01=5)
    first = proposed(g)
    assert (first.how, first.problem) == ("opened", "")
    assert proposed(g) == ExportProposal("delay", "unchanged", first.pull)
    hand_over(g, "b", d01=5, d02=7)
    assert proposed(g) == ExportProposal("delay", "updated", first.pull)
    with g.town.hub() as hub:
        pull = hub.pulls.get(first.pull)
        files = {one.path for one in hub.pulls.files(first.pull)}
        text = (hub.commits.file("data/traffic/delay.dvc", pull.head.branch) or b"").decode()
    assert files == {"data/traffic/delay.dvc", "data/traffic/delay.lineage.json"}
    assert ("b" * 32 in text, "2026-03-02 | 7" in pull.body) == (True, True)
    g.town.merge(first.pull)
    assert proposed(g) == ExportProposal("delay", "nothing")
    hand_over(g, "c", d01=6, d02=7, d03=1)
    assert "the day 2026-03-01 is not what main has" in proposed(g).problem


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"pointer": POINTER.replace("path: delay", "path: ../policy.yaml")}, "is not the data set"),
        ({"pointer": POINTER.replace("  path", "  cache: false\n  path")}, "is not the data set"),
        ({"pointer": POINTER + "deps:\n- path: x\n"}, "is not the data set"),
        ({"pointer": "outs: [1]\n"}, "is not the data set"),
        ({"pointer": ": {"}, ""),
        ({"label": "other"}, "is not of what gitml.yaml exports"),
    ],
)
def test_a_hand_over_that_says_something_else_is_refused(g: Gated[Any], wrong: dict[str, Any], why: str) -> None:
    hand_over(g, "a", d01=5, **wrong)
    found = proposed(g)
    assert (found.pull, found.how) == (0, "nothing")
    assert found.problem
    assert why in found.problem
