"""The workflow of replays: where it is rendered, on what it runs, and who holds what in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ci.linters import actionlint, zizmor
from ci.test_collect import reporting
from ci.test_github import written
from ci.test_governance import CLOUD
from gitml.ci.base import CiSource
from gitml.ci.github.replay import PROMOTIONS
from gitml.ci.github.workflows import render
from gitml.control.change import PROMOTE
from gitml.spec.canary import CanaryRules


def asking(shape: CiSource, **canary: Any) -> CiSource:
    assert shape.policy is not None
    (name, here), *_ = shape.policy.environments.items()
    made = here.model_copy(update={"canary": CanaryRules.model_validate(canary)})
    return replace(shape, policy=shape.policy.model_copy(update={"environments": {name: made}}))


def text_of(shape: CiSource) -> str:
    return next((text for path, text in render(shape).items() if path.endswith("-replay.yml")), "")


def replaying(shape: CiSource) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe", pure=True).load(text_of(shape))
    return found


def test_it_is_there_where_rules_ask_for_replays() -> None:
    assert text_of(asking(reporting(("canary",)), replay="14d"))
    assert not text_of(asking(reporting(("canary",))))
    assert not text_of(asking(reporting(("gate",)), replay="14d")), "no key may sign one"


def test_the_job_that_runs_the_model_holds_no_key_and_runs_where_it_is_trained() -> None:
    shape = asking(reporting(("canary",)), replay="14d")
    shape = replace(shape, jobs=[replace(job, labels=("self-hosted", "gpu")) for job in shape.jobs])  # type: ignore
    jobs = replaying(shape)["jobs"]
    replays = [name for name in jobs if name.startswith("replay-")]
    assert list(jobs) == ["due", *replays, "sign", "publish"]
    for name in replays:
        assert jobs[name]["runs-on"] == ["self-hosted", "gpu"]
        assert jobs[name]["permissions"] == {"contents": "read"}
        assert jobs[name]["environment"] == "gitml-traffic"
        assert "fromJSON(needs.due.outputs.models)" in jobs[name]["if"]
    assert {n: "GITML_LOOKS_KEY" in str(j) for n, j in jobs.items()} == {n: n == "sign" for n in jobs}
    assert {n: "gitml ci replay evaluate" in str(j) for n, j in jobs.items()} == {n: n in replays for n in jobs}
    assert jobs["publish"]["permissions"]["pull-requests"] == "write"
    assert "cache" not in str(jobs)


def test_it_looks_for_the_branches_that_promotions_have() -> None:
    assert f"refs/heads/{PROMOTE}/*" == PROMOTIONS
    assert PROMOTIONS in text_of(asking(reporting(("canary",)), replay="14d"))


def test_the_gate_looks_again_when_a_replay_is_over() -> None:
    (gate,) = [t for p, t in render(asking(reporting(("canary",)), replay="14d")).items() if p.endswith("-gate.yml")]
    assert "gitml replay" in gate


def test_linters_find_nothing(tmp_path: Path) -> None:
    shapes = (
        reporting(("canary",)),
        reporting(("canary",), folder="apps/app"),
        reporting(("canary",), ci={"app": True}),
        reporting(("canary",), ci=CLOUD),
    )
    for number, shape in enumerate(shapes):
        files = {p: t for p, t in render(asking(shape, replay="14d")).items() if p.endswith("-replay.yml")}
        written(tmp_path, {p.replace("/gitml-", f"/{number}-gitml-"): t for p, t in files.items()})
    (tmp_path / ".git").mkdir()
    paths = sorted((tmp_path / ".github" / "workflows").glob("*.yml"))
    assert len(paths) == len(shapes)
    for done in (actionlint(*paths), zizmor(*paths)):
        assert done.returncode == 0, done.stdout + done.stderr
