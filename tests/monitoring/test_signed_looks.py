"""What a look signs: the earliest of an id counts, counts carry on when traffic is gone, looks are spent per year."""

from __future__ import annotations

import copy
import json
import os
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evidence.evidence_kit import key_pair
from gitml.control.looks import read_looks
from gitml.evidence.findings import Kind
from gitml.evidence.looks import LookDetails, Spent, findings, look_of
from gitml.evidence.trust import Believed, Cause
from gitml.git import ledger
from gitml.inference.lookdetails import recount
from gitml.kinds import KINDS, widened
from gitml.monitoring.reference import read_version_reference, recoded_reference, version_reference_bytes
from gitml.traffic.erasure import TrafficErasure, erase_from_traffic
from gitml.verdict import Phase
from monitoring.signed_kit import LookBranch, Watcher, look_branch
from monitoring.watched_world import AT, DAY, MONDAY, SIGNATURE, WEEK, WatchedWorld, build, changed, deploy, weeks

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> WatchedWorld:
    """Six weeks, of which the last three have another fare; each was there on its Sunday."""
    made = build(tmp_path_factory.mktemp("signed") / "app")
    live = changed(weeks(6), 21, fare=lambda some: some["fare"] + 0.4)
    for week in range(6):
        some = {day: rows for day, rows in live.items() if day // 7 == week}
        made.serve(some, now=MONDAY + (week + 1) * WEEK - DAY)
    return made


@pytest.fixture
def world(template: WatchedWorld, tmp_path: Path) -> WatchedWorld:
    root = tmp_path / "app"
    shutil.copytree(template.root, root)
    text = (root / "gitml.yaml").read_text().replace(str(template.root), str(root))
    (root / "gitml.yaml").write_text(text)
    return WatchedWorld(root, template.version)


@pytest.fixture(scope="module")
def details(template: WatchedWorld) -> dict[str, Any]:
    return Watcher(template).look(AT)[1]


@pytest.fixture
def branch(tmp_path: Path) -> LookBranch:
    return look_branch(tmp_path)


def other(details: dict[str, Any], **inputs: str) -> dict[str, Any]:
    """The same look with another verdict of drift."""
    made = copy.deepcopy(details)
    made["inputs"] |= inputs
    made["look"]["verdicts"]["drift"] = {"phase": "successful", "reason": "all is well", "measurements": {}}
    return made


def said(branch: LookBranch) -> tuple[Believed, ...]:
    head = ledger.fetch(branch.clone, branch.server, ledger.LOOKS)
    return read_looks(branch.clone, head or "", branch.rules)


def test_a_signed_look_says_all_that_the_report_needs(branch: LookBranch, details: dict[str, Any]) -> None:
    name = branch.sign(details)
    assert name.startswith("2025/10/")
    (look,) = branch.read().counting
    assert look.monitor == ("delay", "production")
    assert look.window == (AT - WEEK, AT)
    assert look.told == {**details["look"], "id": details["id"], "spent": details["spent"]}
    assert look.details.spent == Spent(year=2025, looks=1, share=round(1 / 53, 6))
    assert look.details.sketch is not None
    assert sum(look.details.sketch["rows"]) == 1400
    assert len(json.dumps(details)) < 30_000


def test_a_key_for_looks_signs_nothing_else_and_verdicts_are_no_statements() -> None:
    # What KPIs did is told and never asked for.
    assert widened(("look",)) == ("look", "impact", "bias")
    # Policies from before looks were signed named the purpose `drift`.
    assert widened(("drift",)) == ("drift", "look")
    assert {kind for kind, row in KINDS.items() if row.said_by} == {"quality", "drift", "harm"}


def test_the_look_that_was_signed_first_counts(branch: LookBranch, details: dict[str, Any]) -> None:
    first = branch.sign(details)
    branch.sign(details)
    branch.sign(other(details))
    branch.sign(other(details, traffic="f" * 64))
    looks = branch.read()
    assert [look.said.name for look in looks.counting] == [first]
    told = [(f.kind, f.phase) for f in findings(said(branch))]
    assert told == [(Kind.LOOK_CONTRADICTED, Phase.FAILED), (Kind.LOOK_CORRECTED, Phase.INCONCLUSIVE)]


def test_a_look_that_is_dated_back_is_found(branch: LookBranch, details: dict[str, Any]) -> None:
    branch.sign(details, when=AT + DAY)
    branch.sign(other(details), when=AT)
    branch.sign(other(details), when=AT - DAY)
    told = sorted(said(branch), key=lambda one: one.event.name, reverse=True)
    assert [f.kind for f in findings(told)][:3] == [Cause.UNREADABLE, Kind.EVENT_REORDERED, Kind.EVENT_REORDERED]


def test_an_edited_look_does_not_count(branch: LookBranch, details: dict[str, Any]) -> None:
    stranger, _ = key_pair()
    branch.sign(details, key=stranger)
    assert not branch.read().counting
    assert [f.kind for f in findings(said(branch))] == [Cause.UNKNOWN_KEY]


@pytest.mark.parametrize(
    ("where", "what", "why"),
    [
        (("look", "until"), "2025-10-20T00:00:00Z", "its window does not end"),
        (("look", "since"), "2025-10-05T00:00:00Z", "its id is not"),
        (("configuration",), "0" * 64, "its id is not"),
        (("sketch", "rows"), [7], "its counts are not"),
        (("look", "phase"), "error", "something else than its binding"),
    ],
)
def test_a_look_that_contradicts_itself_does_not_count(
    branch: LookBranch, details: dict[str, Any], where: tuple[str, ...], what: Any, why: str
) -> None:
    wrong = copy.deepcopy(details)
    inner = wrong
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = what
    branch.sign({**wrong, "look": {**wrong["look"], "phase": details["look"]["phase"]}})
    (one,) = said(branch)
    if where[-1] == "phase":
        one = replace(one, statement=replace(one.statement, details=wrong))  # type: ignore[type-var]
    with pytest.raises(ValueError, match=why):
        look_of(one)


def test_who_needs_the_last_looks_reads_no_others(branch: LookBranch, details: dict[str, Any]) -> None:
    branch.sign(details)
    branch.sign(other(details), when=AT + 9 * WEEK)
    assert len(branch.read(since=AT + WEEK).counting) == 1
    assert branch.read(since=AT + WEEK).counting[0].details.look.verdicts["drift"].phase is Phase.SUCCESSFUL


def test_counts_of_earlier_looks_are_enough_when_their_traffic_is_gone(world: WatchedWorld) -> None:
    watcher = Watcher(world)
    for week in range(1, 6):
        watcher.look(MONDAY + week * WEEK)
    whole, _ = Watcher(world, list(watcher.looks)).look(AT)
    for kind in ("predictions/model=delay", "sketches/model=delay"):
        for day in (world.traffic / kind).glob("date=2025-09-*"):
            shutil.rmtree(day)
    alone, _ = Watcher(world).look(AT)
    found, _ = Watcher(world, list(watcher.looks)).look(AT)
    assert len(alone.looks) < len(found.looks) == 6
    assert found.to_dict() == {**whole.to_dict(), "harm": found.to_dict()["harm"]}
    assert found.verdicts["drift"].phase is Phase.FAILED


def test_traffic_that_gives_something_else_than_was_signed_is_found(world: WatchedWorld) -> None:
    watcher = Watcher(world)
    found, details = watcher.look(AT - WEEK)
    look = LookDetails.model_validate(details)
    job, watch = watcher.round(AT)
    assert recount(watch, job, look) is None
    # Rows that come later are no contradiction: the window is counted as it was known then.
    world.serve({37: weeks(1)[0]}, now=AT - DAY, name="late")
    assert recount(watch, job, look) is None
    for file in (world.traffic / "predictions/model=delay/date=2025-10-02").iterdir():
        file.unlink()
    wrong = recount(watch, job, look)
    assert wrong is not None
    assert (wrong.id, wrong.signed) == (look.id, found.to_dict()["looks"][-1]["sketch"])
    # Nor are rows of somebody who was erased meanwhile.
    erasure = TrafficErasure(str(world.traffic), ["delay"], lambda unit: unit == "u", ["unit"], AT, events=False)
    assert erase_from_traffic(erasure, AT).requests["delay"]
    assert recount(watch, job, look) is None


@pytest.mark.nightly
def test_a_reference_that_forgot_somebody_is_judged_by_as_before(world: WatchedWorld) -> None:
    watcher = Watcher(world)
    watcher.look(AT - WEEK)
    before, told = watcher.look(AT)
    path = world.root / "reference.json"
    path.write_bytes(version_reference_bytes(recoded_reference(read_version_reference(path.read_bytes()))))
    assert deploy(world.root, "m.onnx", SIGNATURE) == world.version
    # Counts of earlier looks were made by other cells: their windows are counted again.
    after, anew = Watcher(world, list(watcher.looks)).look(AT)
    assert anew["configuration"] != told["configuration"]
    assert len(after.looks) == len(before.looks)
    assert {name: one.phase for name, one in after.verdicts.items()} == {
        name: one.phase for name, one in before.verdicts.items()
    }
    for one, other in zip(before.columns, after.columns, strict=True):
        assert (one.column, one.drifted) == (other.column, other.drifted)
        if one.effect and other.effect:
            assert other.effect.estimate == pytest.approx(one.effect.estimate, abs=0.01)


def test_looks_beyond_the_promise_alarm_nobody(world: WatchedWorld) -> None:
    watcher = Watcher(world)
    watcher.looks.append(LookDetails.model_validate(Watcher(world).look(AT - WEEK)[1]))
    before = watcher.looks[-1]
    watcher.looks[-1] = before.model_copy(update={"spent": Spent(year=2025, looks=400, share=1.0)})
    found, details = watcher.look(AT)
    assert details["spent"] == {"year": 2025, "looks": 401, "share": round(1 + 1 / 53, 6)}
    assert found.verdicts["drift"].phase is Phase.INCONCLUSIVE
    assert found.verdicts["drift"].reason.startswith("look 401 of 2025 is beyond those that the promise covers")
    assert "fare has drifted" in found.verdicts["drift"].reason


def test_floors_and_mutes_change_no_id(world: WatchedWorld) -> None:
    first = Watcher(world).look(AT)[1]
    text = (world.root / "gitml.yaml").read_text()
    (world.root / "gitml.yaml").write_text(text + "      floors: {numbers: 0.2}\n")
    second = Watcher(world).look(AT)[1]
    assert second["id"] == first["id"]
    assert second["inputs"]["traffic"] == first["inputs"]["traffic"]
    assert second["inputs"]["settings"] != first["inputs"]["settings"]
    (world.root / "gitml.yaml").write_text(text + "      columns: [fare]\n")
    assert Watcher(world).look(AT)[1]["id"] != first["id"]


def test_what_is_not_for_good_is_not_signed(world: WatchedWorld) -> None:
    for file in (world.traffic / "predictions/model=delay/date=2025-10-06").iterdir():
        file.write_bytes(b"PAR1 torn")
    shutil.rmtree(world.traffic / "sketches")
    job, watch = Watcher(world).round(AT)
    from gitml.inference.monitor import judged

    found = judged(watch, job, (AT - WEEK, AT))
    assert found.phase is Phase.INCONCLUSIVE
    assert found.later.startswith("the traffic cannot be read")


def test_a_signed_look_has_no_value_of_a_single_row(world: WatchedWorld) -> None:
    rows = changed(weeks(1), 0, fare=lambda some: np.where(np.arange(len(some)) == 0, 123_456.789, np.nan))
    world.serve({day + 42: some for day, some in rows.items()}, now=AT + 5 * DAY, name="odd")
    _, details = Watcher(world).look(AT + WEEK)
    fare = details["sketch"]["columns"]["feature_fare"]
    assert (fare["least"], fare["most"]) == (100_000.0, 100_000.0)
    assert "123456" not in json.dumps(details)
    few = {42: rows[0].iloc[:20]}
    shutil.rmtree(world.traffic / "predictions/model=delay/date=2025-10-13")
    shutil.rmtree(world.traffic / "predictions/model=delay/date=2025-10-16")
    world.serve(few, now=AT + 5 * DAY, name="few")
    found, details = Watcher(world).look(AT + WEEK)
    assert (found.rows, details["sketch"]) == (20, None)
