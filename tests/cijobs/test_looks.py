"""From traffic to a signed look and comments, in jobs that may be killed, run twice or never."""

from __future__ import annotations

import json
import os
import re
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from cijobs.watched_town import RUN, WatchedTown, build_town, copied_town
from conftest import gitml
from evidence.evidence_kit import key_pair
from gitml.cijobs.lookfile import LookFile
from gitml.control.looks import copy_to_ledger
from gitml.control.signing import heard
from gitml.errors import IntegrityError, SpecError, UsageError
from gitml.evidence.looks import look_of
from gitml.project.doctor import doctor
from gitml.verdict import Phase
from monitoring.watched_world import AT, DAY, MONDAY, SIGNATURE, WEEK, deploy, weeks
from publishing.test_webhook import hook
from sandbox.forge_kit import git

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "GITML_"))]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> WatchedTown:
    return build_town(tmp_path_factory.mktemp("watched"))


@pytest.fixture
def watched(template: WatchedTown, tmp_path: Path) -> WatchedTown:
    return copied_town(template, tmp_path)


def test_each_window_is_looked_at_once_and_told_where_the_champion_came_from(watched: WatchedTown) -> None:
    (told,) = watched.run(MONDAY + WEEK + HOUR)
    assert (told.model, told.environment, dict(told.comments), told.alarm) == (
        "delay", "production", {watched.pull: "posted"}, "",
    )  # fmt: skip
    (look,) = watched.looks().counting
    assert look.window == (MONDAY, MONDAY + WEEK)
    assert look.said.binding is not None
    assert look.said.binding.head == watched.town.branch("main")
    assert watched.evaluate() == ()
    assert watched.sign().due == 0
    assert watched.publish()[0].comments == {watched.pull: "updated"}
    assert len(watched.comments()) == 1


@pytest.mark.slow
def test_missed_looks_are_made_up_for_oldest_first(watched: WatchedTown) -> None:
    watched.run(MONDAY + WEEK + HOUR)
    watched.at(AT + HOUR)
    done = watched.evaluate()
    assert [one.found.until for one in done] == [MONDAY + week * WEEK for week in range(2, 7)]
    assert [len(one.found.looks) for one in done] == [2, 3, 4, 5, 6]
    assert done[1].found.verdicts["drift"].phase is not Phase.FAILED
    assert done[-1].found.verdicts["drift"].phase is Phase.FAILED
    assert len(watched.sign().events) == 5
    spent = [look.details.spent.looks for look in watched.looks().counting]
    assert spent == [1, 2, 3, 4, 5, 6]


@pytest.mark.slow
@pytest.mark.nightly
def test_an_alarm_is_a_new_comment_once(watched: WatchedTown) -> None:
    for week in (4, 5, 6):
        watched.run(MONDAY + week * WEEK + HOUR)
    assert len(watched.alarms()) == 1
    assert len(watched.comments()) == 2
    first = watched.alarms()
    watched.run(AT + 2 * HOUR)
    watched.at(AT + DAY)
    watched.publish()
    assert watched.alarms() == first


@pytest.mark.slow
def test_one_new_comment_a_day_whatever_is_made_up_for(watched: WatchedTown) -> None:
    (told,) = watched.run(AT + HOUR)
    assert told.alarm == "posted"
    assert len(watched.alarms()) == 1
    assert len(watched.comments()) == 2
    images = [found for body in watched.comments() for found in re.findall(r"!\[[^]]*\]\((.*?)\)", body)]
    there = git(watched.town.forge.remote, "ls-tree", "-r", "--name-only", "gitml-assets").split()
    assert {place.rpartition("/raw/gitml-assets/")[2] for place in images} == {*there} != set()
    first = watched.alarms()
    watched.at(AT + DAY)
    watched.publish()
    assert watched.alarms() == first


@pytest.mark.slow
def test_an_alarm_calls_those_whom_main_names_and_nobody_else(watched: WatchedTown) -> None:
    """The job that reads traffic hands over the look: whom it would call is not believed."""
    text = (watched.fresh() / "gitml.yaml").read_text()
    tell = "  tell: {people: [ada]}\n  models:\n    delay:\n      window"
    watched.town.push({"gitml.yaml": text.replace("  models:\n    delay:\n      window", tell)})
    watched.at(AT + HOUR)
    watched.evaluate()
    told = json.loads(watched.handed().read_text())
    for one in told["looks"]:
        one["look"]["tell"] = {"people": ["mallory"], "teams": ["everybody/there"]}
    watched.hand_over(LookFile.model_validate(told))
    watched.sign()
    watched.publish()
    (alarm,) = watched.alarms()
    assert "@ada" in alarm
    assert "mallory" not in " ".join(watched.comments())
    assert "everybody" not in " ".join(watched.comments())


@pytest.mark.slow
def test_killed_between_look_and_comment_the_next_run_tells(watched: WatchedTown) -> None:
    watched.at(AT + HOUR)
    watched.evaluate()
    watched.sign()
    assert watched.comments() == []
    assert watched.evaluate() == ()
    assert watched.publish()[0].alarm == "posted"
    assert len(watched.comments()) == 2


def test_two_runs_at_once_sign_a_window_once(watched: WatchedTown) -> None:
    watched.at(MONDAY + WEEK + HOUR)
    watched.evaluate()
    handed = watched.handed().read_bytes()
    assert len(watched.sign().events) == 1
    watched.handed().write_bytes(handed)
    again = watched.sign()
    assert again.events == ()
    assert again.passed_over == (
        "the look at delay in production until 2025-09-08 00:00 UTC is signed already, or was not due",
    )
    assert len(watched.looks().counting) == 1
    assert not watched.looks().later


def test_an_open_promotion_of_the_model_gets_the_comment_too(watched: WatchedTown) -> None:
    staging = {"models/delay/staging.yaml": watched.town.main.joinpath("models/delay/production.yaml").read_text()}
    number = watched.town.pull_of(staging, f"gitml/promote/delay/staging/{watched.world.version}", "ada")
    (told,) = watched.run(MONDAY + WEEK + HOUR)
    assert dict(told.comments) == {watched.pull: "posted", number: "posted"}
    assert "gitml:report:flights/monitor/delay/production" in watched.comments(number)[0]


def test_a_version_that_came_within_the_window_says_that_no_look_judges_the_one_before(watched: WatchedTown) -> None:
    place = "models/delay/production.yaml"
    pin = watched.town.main.joinpath(place).read_text()
    watched.run(MONDAY + WEEK + HOUR)
    assert "within the window" not in watched.comments()[0]
    watched.at(MONDAY + WEEK + 2 * DAY)
    watched.town.push({place: pin.replace(watched.world.version, "20250830T000000Z-0115add0")}, "another version")
    watched.at(MONDAY + WEEK + 3 * DAY)
    number = watched.town.pull_of({place: pin}, "gitml/promote/delay/production/again", "ada")
    watched.town.merge(number)
    watched.run(MONDAY + 2 * WEEK + HOUR)
    (sticky,) = watched.comments(number)
    assert "This version came on Thu 2025-09-11, within the window. What `20250830T000000Z-0115add0` answered" in sticky
    watched.run(MONDAY + 3 * WEEK + HOUR)
    assert "within the window" not in watched.comments(number)[0]


@pytest.mark.slow
def test_windows_that_a_version_missed_are_made_up_for_after_it_was_replaced(watched: WatchedTown) -> None:
    """Its looks are told where it came from, and spend the year's looks as if they had been in time."""
    app = watched.fresh()
    newer = deploy(app, "m.onnx", SIGNATURE, created="2025-10-01T00:00:00Z")
    places = ("models/delay/production.yaml", f"models/delay/versions/{newer}.json")
    watched.at(AT - DAY)
    watched.town.push({place: (app / place).read_text() for place in places}, "another version")
    watched.at(AT - HOUR)
    done = watched.evaluate()
    assert [one.found.until for one in done] == [MONDAY + week * WEEK for week in range(1, 6)]
    assert {one.found.version for one in done} == {watched.world.version}
    assert done[-1].found.verdicts["drift"].phase is Phase.FAILED
    assert len(watched.sign().events) == 5
    told = watched.publish()
    assert [(dict(one.comments), one.alarm) for one in told] == [({watched.pull: "posted"}, "posted")]
    sticky, alarm = sorted(watched.comments(), key=lambda body: "/alarm/" in body)
    assert f"(version `{watched.world.version}`, replaced Sun 2025-10-12)" in sticky
    assert f"`{newer}` took its place" in sticky
    assert "Next look" not in sticky
    assert "Another version serves now" in alarm
    assert watched.evaluate() == ()
    watched.publish()
    assert len(watched.comments()) == 2


@pytest.mark.slow
@pytest.mark.nightly
def test_an_open_retraining_of_the_model_gets_the_comment_too(watched: WatchedTown) -> None:
    text = (watched.fresh() / "gitml.yaml").read_text()
    watched.town.push({"gitml.yaml": f"{text}retrain: {{delay: {{causes: [drift]}}}}\n"})
    number = watched.town.pull_of({"params.yaml": "a: 1\n"}, "gitml/retrain/delay/drift", "ada")
    (told,) = watched.run(MONDAY + WEEK + HOUR)
    assert dict(told.comments) == {watched.pull: "posted", number: "posted"}


def test_what_was_told_lets_the_next_job_end_at_once(watched: WatchedTown) -> None:
    watched.run(MONDAY + WEEK + HOUR)
    looks = watched.town.branch("gitml-looks")
    assert watched.told().split("\n")[:3] == [
        f"Main: {watched.town.branch('main')}", f"Looks: {looks}", "Next look: 2025-09-15T00:00:00Z",
    ]  # fmt: skip


def test_traffic_that_cannot_be_read_stays_due(watched: WatchedTown) -> None:
    (day,) = (watched.world.traffic / "predictions/model=delay").glob("date=2025-09-04")
    whole = {file: file.read_bytes() for file in day.iterdir()}
    for file in whole:
        file.write_bytes(b"PAR1 torn")
    watched.at(MONDAY + 2 * WEEK + HOUR)
    torn, fine = watched.evaluate()
    assert (torn.id, torn.waits) == ("", False)
    assert torn.found.later.startswith("the traffic cannot be read")
    assert (fine.id != "", len(fine.found.looks)) == (True, 1)
    assert fine.found.unread.startswith("the traffic before 2025-09-08 00:00 UTC cannot be read")
    watched.sign()
    watched.publish()
    assert "Next look: 2025-09-15T01:00:00Z" in watched.told()
    for file, raw in whole.items():
        file.write_bytes(raw)
    assert [one.found.until for one in watched.evaluate()] == [MONDAY + WEEK]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"version": "20250831T000000Z-00000000"}, "its id is not"),
        ({"phase": "successful"}, "has other verdicts than are watched"),
        ({"verdicts": {}}, "has other verdicts than are watched"),
        ({"rows": -1}, "looks.0.look.rows"),
        ({"model": "../x"}, "looks.0.look.model"),
        ({"at": "2025-09-20T00:00:00Z"}, "was looked at in the future"),
    ],
)
def test_a_hand_over_that_does_not_fit_main_is_not_signed(
    watched: WatchedTown, change: dict[str, object], why: str
) -> None:
    watched.at(MONDAY + WEEK + HOUR)
    watched.evaluate()
    told = json.loads(watched.handed().read_text())
    told["looks"][0]["look"] |= change
    watched.hand_over(LookFile.model_validate(told))
    with pytest.raises((IntegrityError, SpecError), match=why):
        watched.sign()
    assert watched.town.branch("gitml-looks") == ""


def test_a_hand_over_of_another_run_or_commit_is_refused(watched: WatchedTown) -> None:
    watched.at(MONDAY + WEEK + HOUR)
    watched.evaluate()
    with pytest.raises(SpecError, match="is of the run"):
        watched.sign(run=f"{RUN}8")
    before = watched.town.branch("main")
    watched.town.push({"README.md": "later\n"})
    with pytest.raises(SpecError, match="this is"):
        watched.sign()
    assert len(watched.sign(commit=before).events) == 1


def test_a_key_that_main_does_not_name_signs_nothing(watched: WatchedTown) -> None:
    watched.at(MONDAY + WEEK + HOUR)
    watched.evaluate()
    with pytest.raises(UsageError, match=r"policy\.yaml does not believe"):
        watched.sign(key_pair()[0])
    assert watched.town.branch("gitml-looks") == ""


@pytest.mark.slow
def test_a_new_configuration_does_not_look_again(watched: WatchedTown) -> None:
    watched.run(MONDAY + 2 * WEEK + HOUR)
    text = (watched.fresh() / "gitml.yaml").read_text()
    watched.town.push({"gitml.yaml": text + "      columns: [fare]\n"})
    watched.at(MONDAY + 3 * WEEK + HOUR)
    (one,) = watched.evaluate()
    assert one.found.until == MONDAY + 3 * WEEK
    assert len(one.found.looks) == 3
    assert watched.sign().events
    assert [look.details.spent.looks for look in watched.looks().counting] == [1, 2, 3]


@pytest.mark.slow
@pytest.mark.nightly
def test_looks_go_on_from_what_was_signed_when_the_traffic_is_gone(watched: WatchedTown) -> None:
    for week in range(1, 6):
        watched.run(MONDAY + week * WEEK + HOUR)
    for day in (watched.world.traffic / "predictions/model=delay").glob("date=2025-09-*"):
        shutil.rmtree(day)
    watched.at(AT + HOUR)
    (one,) = watched.evaluate()
    assert len(one.found.looks) == 6
    assert one.found.verdicts["drift"].phase is Phase.FAILED


def test_a_look_that_something_hangs_on_is_copied_into_the_ledger_once(watched: WatchedTown) -> None:
    watched.run(MONDAY + WEEK + HOUR)
    (look,) = watched.looks().counting
    with watched.town.place() as place:
        assert copy_to_ledger(place, [look.said]) == copy_to_ledger(place, [look.said]) == (look.said.name,)
        (found,) = heard(place, place.newest().policy()).believed
    assert found.event.content == look.said.event.content
    assert look_of(found).id == look.id


@pytest.mark.nightly
def test_doctor_sees_that_looks_have_stopped(watched: WatchedTown, monkeypatch: pytest.MonkeyPatch) -> None:
    def point(name: str, *, fix: bool = False) -> tuple[str, str]:
        env = {"GITML_FORGE": "memory", "GITML_MEMORY": str(watched.town.forge.remote)}
        found = {p.name: p for p in doctor(watched.fresh(), env, fix=fix)}
        return found[name].mark.value, found[name].what

    assert point("looks") == ("unknown", "nobody has looked at live traffic yet")
    assert point("environment gitml-traffic")[0] == point("environment gitml-looks")[0] == "missing"
    assert point("environment gitml-traffic", fix=True) == ("ok", "for main alone")
    assert point("key of looks")[0] == "missing"
    watched.run(MONDAY + WEEK + HOUR)
    # The commit on the branch has the machine's time.
    assert point("looks") == ("ok", "the newest of delay in production is 0 h old, and a window is 7 d")
    assert point("branch gitml-looks")[0] == "missing"
    monkeypatch.setattr("gitml.clock.ahead", lambda: int(timedelta(days=15).total_seconds()))
    assert point("looks") == (
        "missing",
        "the newest of delay in production is 15 d old, and a window is 7 d: looks have stopped, so no alarm can come",
    )


@pytest.mark.slow
@pytest.mark.nightly
def test_a_webhook_hears_of_an_alarm_once(watched: WatchedTown) -> None:
    with hook(200, b"ok") as (address, seen):
        text = (watched.fresh() / "gitml.yaml").read_text()
        watched.town.push(
            {
                "gitml.yaml": text.replace(
                    "  models:\n    delay:\n      window",
                    f"  tell: {{webhook: '{address}'}}\n  models:\n    delay:\n      window",
                )
            }
        )
        watched.run(AT + HOUR)
        watched.publish()
        watched.at(AT + DAY)
        watched.publish()
    ((_, body),) = seen
    assert (body["model"], body["environment"], body["phase"]) == ("delay", "production", "failed")
    assert body["url"].endswith(f"/pull/{watched.pull}")


@pytest.mark.slow
@pytest.mark.nightly
def test_the_job_is_red_while_something_cannot_be_read(watched: WatchedTown) -> None:
    root = watched.fresh()
    env = {"GITHUB_REPOSITORY": "ada/demo", "GITML_CI": str(root.parent / "handed")}
    words = ("ci", "monitor", "evaluate", "--log", str(watched.world.traffic), "--at", "2025-09-15T01:00:00Z")
    fine = gitml(root, *words, env=env)
    assert fine.code == 0, fine.err
    assert len(json.loads((root.parent / "handed/looks.json").read_text())["looks"]) == 2
    for file in (watched.world.traffic / "predictions/model=delay/date=2025-09-11").iterdir():
        file.write_bytes(b"PAR1 torn")
    shutil.rmtree(watched.world.traffic / "sketches", ignore_errors=True)
    torn = gitml(root, *words, env=env)
    assert torn.code == 3
    assert "delay in production until 2025-09-15 00:00 UTC: the traffic cannot be read" in torn.out
    (left,) = json.loads((root.parent / "handed/looks.json").read_text())["looks"]
    assert left["look"]["until"] == "2025-09-08T00:00:00Z"


def test_a_look_that_is_too_large_goes_without_its_counts(
    watched: WatchedTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.at(MONDAY + WEEK + HOUR)
    watched.evaluate()
    (whole,) = json.loads(watched.handed().read_text())["looks"]
    size = len(json.dumps(whole))
    monkeypatch.setattr("gitml.inference.lookdetails.MOST_DETAILS", size // 2)
    watched.evaluate()
    (told,) = json.loads(watched.handed().read_text())["looks"]
    assert (told["sketch"], told["look"]) == (None, whole["look"])
    monkeypatch.setattr("gitml.cijobs.looking.MOST_DETAILS", 1000)
    (one,) = watched.evaluate()
    assert (one.id, one.found.later[:31]) == ("", "a look at so many columns is to")


@pytest.mark.slow
@pytest.mark.nightly
def test_two_environments_of_a_model_share_the_new_comment_of_a_day(watched: WatchedTown) -> None:
    pin = (watched.fresh() / "models/delay/production.yaml").read_text()
    number = watched.town.pull_of({"models/delay/staging.yaml": pin}, "staging", "ada")
    watched.town.merge(number)
    late = {day: some.assign(fare=some["fare"] + 1) for day, some in weeks(6).items() if day >= 35}
    watched.serve(live=late, environment="staging", name="s", now=AT - DAY)
    told = watched.run(AT + HOUR)
    assert {one.environment: dict(one.comments) for one in told} == {
        "production": {watched.pull: "posted"}, "staging": {number: "posted"},
    }  # fmt: skip
    (alarm,) = watched.alarms()
    assert [body for body in watched.comments(number) if "/alarm/" in body] == []
    assert "staging" in alarm
    assert "production" in alarm
    assert len(re.findall(r"<!-- gitml:alarm:", alarm)) >= 2
