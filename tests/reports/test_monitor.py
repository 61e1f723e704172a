"""The report of a look: what people read of it, and that nothing in it acts."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from gitml.errors import UsageError
from gitml.reports.lookcolumns import sparkline
from gitml.reports.lookfacts import LookStory
from gitml.reports.lookhook import webhook_body
from gitml.reports.lookperformance import performance_chart
from gitml.reports.monitor import Page, report
from reports.look_kit import VERSION, column, drifted, effect, look, performed, verdict
from reports.reading_kit import FORGED, read, read_as_github
from reports.report_kit import PIECES

PICTURE = b"\x89PNG\r\n\x1a\n" + b"0" * 40
RUN = "https://forge.example/runs/1"


def page(told: dict[str, Any], *before: dict[str, Any]) -> Page:
    """Without the process that draws, which takes longer than all the rest."""
    return report(told, before, run=RUN, draw=lambda specs: [PICTURE for _ in specs])


def test_a_quiet_look_is_one_sentence_and_calls_nobody() -> None:
    found = page(look(tell={"people": ["ada"], "teams": ["acme/ml"]}), look(-1))
    first = found.sticky.split("\n", 1)[0]
    assert first == "🟢 **`delay` in `production` is well**: nothing that is watched has changed."
    assert found.alert is None
    assert "@" not in found.sticky
    assert "Whom it concerns: `ada`, `acme/ml`." in found.sticky


def test_verdicts_stand_worst_first_and_data_that_are_broken_before_what_follows_from_them() -> None:
    verdicts = {
        "quality": verdict("failed", "fare: range: far, expected near"),
        "drift": verdict("failed", "fare has drifted"),
        "harm": verdict("inconclusive", "no labels have come"),
    }
    sticky = page(drifted(verdicts=verdicts)).sticky
    lines = [line for line in sticky.splitlines() if (line.startswith("- ") and ".** The" in line) or "- 🟡" in line]
    assert [line.split("**")[1] for line in lines] == ["Quality.", "Drift.", "Harm."]
    assert sticky.startswith(
        "🔴 **`delay` in `production` needs attention**: its data are broken, and the data it receives"
    )


def test_the_short_comment_says_what_since_when_how_sure_which_columns_and_calls_whom_it_concerns() -> None:
    alert = page(drifted(0), look(-3), drifted(-2), drifted(-1)).alert
    assert alert is not None
    assert "`fare`, mean 0.001452 → 0.4993 (+0.50 σ). Since Mon 2025-09-22 (3 looks)." in alert
    assert "at most one false alarm in 20 years is promised" in alert
    assert "raise the floor of the column or mute it" in alert
    assert alert.splitlines()[-1] == "@ada, @acme/ml"
    assert read(alert).pictures == ["delay-production.png"]
    assert len(alert) < 2000


def test_a_new_version_begins_anew() -> None:
    old = drifted(-1, version="20250101T000000Z-00000000")
    found = page(drifted(0), drifted(-2, version=old["version"]), old)
    assert "Since Mon 2025-10-06 (1 look)" in found.sticky
    assert f"new version `{VERSION}`" in found.sticky


def test_a_look_that_could_not_tell_is_no_end_and_one_that_passed_is() -> None:
    unclear = look(-1)["verdicts"] | {"drift": verdict("inconclusive", "too little")}
    assert "Since Mon 2025-09-22 (2 looks)" in page(drifted(0), drifted(-2), look(-1, verdicts=unclear)).sticky
    assert "Since Mon 2025-10-06 (1 look)" in page(drifted(0), drifted(-2), look(-1)).sticky
    none = look(-1)["verdicts"] | {"drift": None}
    assert "(1 look)" in page(drifted(0), drifted(-2), look(-1, verdicts={k: v for k, v in none.items() if v})).sticky


def test_each_column_has_its_effect_interval_floor_direction_and_history() -> None:
    sticky = page(drifted(0), look(-2), look(-1)).sticky
    (line,) = [line for line in sticky.splitlines() if line.startswith("| `fare` |")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1:] == [
        "mean 0.001452 → 0.4993 (+0.50 σ)", "`▁▁█`", "0.20 (0.15 to 0.25)", "0.05", "1,400 (1,368)", "🔴 drifted",
    ]  # fmt: skip
    assert "<summary>1 column did not drift</summary>" in sticky


def test_columns_with_too_few_rows_are_not_said_not_to_have_drifted() -> None:
    thin = column("fare", 0.01, 0.0, 0.2) | {"rows_needed": 6800}
    assert "<summary>1 column has too few rows to tell</summary>" in page(look(drift=[thin])).sticky


def test_a_column_whose_missing_values_moved_says_so() -> None:
    told = column("fare", 0.01, 0.0, 0.02, drifted=True, missing=effect(0.3, 0.2, 0.4, direction=0.3, floor=0.02))
    sticky = page(drifted(drift=[told])).sticky
    assert "| `fare`, missing | +30.0 % of rows | " in sticky
    assert "| `fare`, the model's answer | " in page(drifted(drift=[column("fare", 0.2, 0.1, 0.3, output=True)])).sticky


def test_the_sparkline_is_against_the_floor_and_a_look_that_could_not_tell_is_a_dot() -> None:
    looks = [look(i, drift=[column("fare", value, 0, 1)]) for i, value in enumerate((0.0, 0.05, 0.1))]
    thin = look(3, drift=[column("fare", 0, 0, 0, values=None)])
    assert sparkline(LookStory(thin, looks), "fare") == "▁▅█·"
    assert sparkline(LookStory(looks[0]), "gone") == "·"


def test_what_is_muted_until_when_and_by_which_line_and_an_expired_mute_alarms_again() -> None:
    mutes = [
        {"columns": ["fare"], "until": "2025-11-01T00:00:00Z", "reason": "new tariff", "line": 14, "over": False},
        {"columns": ["word"], "until": "2025-10-08T12:00:00Z", "reason": "storm", "line": 15, "over": True},
        {"columns": ["old"], "until": "2025-01-01T00:00:00Z", "reason": "long ago", "line": 16, "over": True},
    ]
    muted = column("fare", 0.2, 0.15, 0.25, muted="new tariff")
    told = drifted(drift=[column("word", 0.3, 0.2, 0.4), muted], mutes=mutes)
    sticky = page(told).sticky
    assert "| `fare` | 🔕 through 2025-10-31 | new tariff | `gitml.yaml:14` |" in sticky
    assert "| `word` | 🔔 ended 2025-10-08 12:00 UTC: alarms again | storm | `gitml.yaml:15` |" in sticky
    assert "long ago" not in sticky
    assert "🔕 drifted, muted" in sticky
    assert "`word`, mean" in (page(told).alert or "")
    assert "`fare`, mean" not in (page(told).alert or "")


def test_how_to_mute_is_yaml_with_an_end_for_what_is_loud() -> None:
    name = 'a: "b", {c}\n#é'
    blocks = read(page(drifted(name=name)).sticky).blocks
    assert blocks[0] == "gitml monitor delay --in production --at 2025-10-13T01:00:00Z\n"
    (mute,) = YAML(typ="safe").load(blocks[1])["monitors"]["models"]["delay"]["mutes"]
    assert (mute["columns"], str(mute["until"])) == ([name], "2025-10-27")


def test_how_to_look_again_names_the_window_where_a_later_one_was_over_too() -> None:
    late = page(look(at="2025-10-20T00:00:00Z")).sticky
    assert "--since 2025-10-06T00:00:00Z --until 2025-10-13T00:00:00Z --at 2025-10-20T00:00:00Z\n" in late
    gone = {"gone": "2025-10-14T00:00:00Z", "after": "new", "brought": "0123456789abcdef"}
    assert "git checkout 0123456789ab && gitml monitor delay" in page(look(**gone)).sticky


def test_a_broken_rule_says_what_was_expected_and_seen_and_since_when() -> None:
    broken = [
        {
            "rule": "missing",
            "column": "fare",
            "expected": "at most 50 %",
            "seen": "80 %",
            "since": "2025-09-29T00:00:00Z",
        },
        {"rule": "volume", "column": "", "expected": "400 rows", "seen": "0 rows", "since": "2025-10-06T00:00:00Z"},
    ]
    verdicts = look()["verdicts"] | {"quality": verdict("failed", "fare: missing")}
    found = page(look(quality=broken, verdicts=verdicts))
    assert "| all | volume | 400 rows | 0 rows | Mon 2025-10-06 |" in found.sticky
    assert found.alert is not None
    assert "`fare` missing: 80 %; expected at most 50 %; since Mon 2025-09-29, and 1 rule more." in found.alert
    # A broken rule is certain: no rate of false alarms is promised of it.
    assert "How sure" not in found.alert


def test_the_text_stands_alone_where_nothing_can_be_drawn() -> None:
    def missing(_: object) -> list[object]:
        raise UsageError("charts need a package")

    found = report(drifted(), draw=missing)
    assert found.pictures == {}
    assert "![" not in found.sticky
    assert "🔴 drifted" in found.sticky


@pytest.mark.parametrize("model", ["../../x", "a b", "", "é" * 300, "a](javascript:x"])
def test_the_name_of_a_picture_is_one_of_a_file_whatever_the_model_is_called(model: str) -> None:
    found = page(drifted(model=model))
    (name,) = found.pictures
    assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,89}\.png", name)
    assert read(found.sticky).pictures == [name]


@pytest.mark.slow
def test_the_chart_is_drawn_and_the_same_look_gives_the_same_bytes() -> None:
    first, again = (report(drifted(performance=performed()), [look(-1)]) for _ in range(2))
    assert first == again
    assert len(first.pictures) == 2
    assert all(picture.startswith(b"\x89PNG") for picture in first.pictures.values())


def test_labels_take_the_place_of_the_estimate_in_table_and_chart() -> None:
    told = look(performance=performed())
    sticky = page(told).sticky
    assert "| `auc` | 0.760 (0.740 to 0.780) | 700 | 0.830 (0.820 to 0.840) |" in sticky
    rows = [
        line for line in sticky.splitlines() if (line.startswith("| Mon") and "|  |" in line) or "labels have" in line
    ]
    assert "| Mon 2025-10-06 | 700 | 0.820 (0.800 to 0.840) |  |  |" in rows
    assert "| Mon 2025-10-20 | 700 |  | 0.780 (0.750 to 0.810), CBPE |  |" in rows
    assert "| Mon 2025-10-27 | 700 |  |  | not all labels have come |" in rows
    assert "no estimate can see" in sticky
    assert "| `carrier` = `UA` | 200 | too few labels |  |" in sticky
    spec = performance_chart(LookStory(told))
    assert spec is not None
    assert [(v["window"], v["kind"], v["value"]) for v in spec["data"]["values"]] == [
        ("2025-10-06", "on labels", 0.82), ("2025-10-13", "on labels", 0.7), ("2025-10-20", "estimated", 0.78),
    ]  # fmt: skip


def test_a_change_that_could_be_chance_is_not_said_to_be_one() -> None:
    told = performed()
    for point in told["series"]:
        point["estimated"] = [{**one, "told": False, "evaluated": 0.79} for one in point["estimated"]]
    assert "| as evaluated: 0.790 (0.750 to 0.810), CBPE |" in page(look(performance=told)).sticky


def test_windows_without_any_figure_name_no_metric() -> None:
    told = performed()
    for point in told["series"]:
        point |= {"measured": [], "estimated": []}
    assert "| window from | labels | on labels | estimated |  |" in page(look(performance=told)).sticky


def test_what_the_evaluation_measured_stands_in_the_chart_though_no_window_tells_it() -> None:
    told = performed()
    for point in told["series"]:
        for found in point["measured"] + point["estimated"]:
            found |= {"evaluated": None, "low": None, "high": None}
    spec = performance_chart(LookStory(look(performance=told)))
    assert spec is not None
    assert {value["evaluated"] for value in spec["data"]["values"]} == {0.83}
    none = performance_chart(LookStory(look(performance=told | {"metrics": []})))
    assert none is not None
    assert len(none["layer"]) == len(spec["layer"]) - 1
    assert performance_chart(LookStory(look(performance=told | {"series": told["series"][:1]}))) is None


def test_an_alarm_of_harm_alone_shows_performance_and_any_other_the_columns() -> None:
    bad = look()["verdicts"] | {"harm": verdict("failed", "worse than its evaluation: auc 0.7")}
    worse = drifted(verdicts=bad, performance=performed())
    assert read(page(worse).alert or "").pictures == ["delay-production-performance.png"]
    assert read(page(drifted(performance=performed())).alert or "").pictures == ["delay-production.png"]
    assert read(page(worse).sticky).pictures == ["delay-production.png", "delay-production-performance.png"]
    assert "the version before may be better: `gitml rollback delay --in production`" in (page(worse).alert or "")


def test_detectors_say_what_they_found_and_which_of_it_is_only_shown() -> None:
    one = {
        "name": "domain-classifier", "is_drift": True, "p_val": 0.0001, "distance": 0.71, "threshold": 0.001,
        "low": 0.69, "high": 0.73, "columns": [{"column": "fare", "distance": 0.3, "p_val": None}], "shown_only": "",
        "alarms": True,
    }  # fmt: skip
    shown = {**one, "name": "alibi mmd", "p_val": None, "low": None, "alarms": False, "shown_only": "too few rows"}
    sticky = page(look(detectors=[one, shown])).sticky
    assert "| `domain-classifier` | 0.710 (0.690 to 0.730) | 0.0001 | 0.001 | `fare` | 🔴 drifted |" in sticky
    assert "| `alibi mmd` | 0.710 | – | 0.001 | `fare` | shown, never alarms: too few rows |" in sticky


def test_what_is_shown_beside_the_verdicts_and_never_alarms() -> None:
    told = look(unread="the traffic before 2025-09-01 cannot be read: torn")
    told["verdicts"]["drift"]["measurements"] = {"mix": "hour 8 10.0% → 30.0%"}
    told["drift"][0]["psi"] = {"value": 0.031, "bins": 10, "expected": 0.01, "by_chance": 0.02, "p": 0.01}
    told["own_periods"] = {"alarms": {"feature_fare": 2}}
    sticky = page(told | {"scheduled": False}).sticky
    assert "- Held fixed, so no alarm: hour 8 10.0% → 30.0%" in sticky
    assert "cannot be read: torn" in sticky
    assert "(+0.50 σ); PSI 0.031, by chance up to 0.020 |" in sticky
    assert "own periods would alarm too: `fare`" in sticky
    assert "beside the schedule" in sticky
    assert "Promised" not in sticky


def test_what_the_version_before_answered_in_the_window_is_said_to_be_in_no_look() -> None:
    sticky = page(look() | {"before": "0115add0", "came": "2025-09-03T14:30:00+00:00"}).sticky
    assert "- This version came on Wed 2025-09-03 14:30 UTC, within the window." in sticky
    assert (
        "What `0115add0` answered earlier in the window is not judged by any look, because it no longer serves."
        in sticky
    )
    assert "within the window" not in page(look()).sticky


def test_the_order_of_keys_does_not_matter() -> None:
    told = drifted()
    turned = json.loads(json.dumps(dict(reversed(told.items())), sort_keys=True))
    assert page(turned).sticky == page(told).sticky


def test_thousands_of_columns_fit_with_the_verdicts_first() -> None:
    many = [column(f"c{i}" * 20, 0.2, 0.15, 0.25) for i in range(3000)]
    sticky = page(drifted(drift=many)).sticky
    assert len(sticky.encode()) <= 60_000
    assert "needs attention" in sticky
    assert "Look yourself" in sticky
    assert "and 2,900 more" in sticky
    assert (
        len(YAML(typ="safe").load(read(sticky).blocks[1])["monitors"]["models"]["delay"]["mutes"][0]["columns"]) == 20
    )


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(10**400, id="long"),
        pytest.param(-(10**400), id="-long"),
        1e308,
        -1e308,
        float("-inf"),
        float("nan"),
    ],
)
def test_numbers_that_no_float_holds_stop_no_comment(odd: float) -> None:
    told = look(drift=[column("fare", odd, 0.1, odd)], rows=odd)
    told["detectors"] = [{"name": "d", "p_val": odd, "distance": odd, "threshold": odd, "low": odd, "high": odd}]
    assert report(told, [told], draw=lambda _: [b"picture"]).sticky


def test_a_look_that_lacks_everything_is_still_a_text() -> None:
    assert "is not watched" in page({}).sticky
    assert page({"verdicts": {"drift": {}}, "drift": [{}], "looks": None, "mutes": [{}], "tell": {}}).alert is None


def places(told: Any) -> list[tuple[Any, Any]]:
    """Every text in the look, as (container, key)."""
    found: list[tuple[Any, Any]] = []
    pairs = told.items() if isinstance(told, dict) else enumerate(told) if isinstance(told, list) else ()
    for key, value in pairs:
        found += [(told, key)] if isinstance(value, str) else places(value)
    return found


@given(st.integers(0, 2**32))
@settings(max_examples=60)
def test_hostile_text_anywhere_is_shown_and_does_nothing(seed: int) -> None:
    rng = random.Random(seed)
    told = drifted(
        quality=[{"rule": "range", "column": "c", "expected": "e", "seen": "s", "since": "x"}],
        mutes=[{"columns": ["c"], "until": "2025-11-01T00:00:00Z", "reason": "r", "line": 1, "over": False}],
        detectors=[{"name": "d", "columns": [{"column": "c"}], "shown_only": "s"}],
        performance=performed(),
    )
    for container, key in places(told):
        if key != "phase" and rng.random() < 0.5:
            container[key] = "".join(rng.choices(PIECES, k=rng.choice([0, 1, 1, 3, 8])))
    found = page(told | {"tell": drifted()["tell"]})
    for text in (found.sticky, found.alert or ""):
        seen, github = read(text), read_as_github(text)
        assert not seen.foreign
        assert seen.headings == seen.quotes == 0
        assert all(len(set(table)) == 1 for table in seen.tables + github.tables)
        assert all(address == RUN for address in seen.links)
        assert all(name in found.pictures for name in seen.pictures)
        assert not [line for line in seen.text if line != "@ada, @acme/ml" and FORGED.search(line)]
        assert seen.opened == seen.closed


@pytest.mark.parametrize("name", [piece for piece in PIECES if piece.strip()])
def test_only_names_of_accounts_are_called(name: str) -> None:
    alert = page(drifted(tell={"people": [name], "teams": [name]})).alert or ""
    called = [word.rstrip(",") for text in read(alert).text for word in text.split() if word.startswith("@")]
    assert called == ([f"@{name}"] if name in ("plain", "a" * 40, "deadbeef", "0.5", "GH-1", "www.x.example") else [])


def test_the_body_of_a_webhook_has_the_verdicts_as_data_and_one_line_that_calls_nobody() -> None:
    told = drifted(name="<!channel> @here\n|")
    body = webhook_body(told, "https://forge.example/pulls/1")
    assert (body["format"], body["phase"], body["model"], body["id"]) == (1, "failed", "delay", told["id"])
    assert body["verdicts"]["drift"] == {"phase": "failed", "reason": "<!channel> @here\n| has drifted"}
    assert body["drifted"][0]["values"]["low"] == 0.15
    assert body["text"].endswith(" https://forge.example/pulls/1")
    assert "\n" not in body["text"]
    assert not re.search(r"<!|@h", body["text"])
    assert json.loads(json.dumps(body)) == body
