"""The comment of a candidate, from what was signed."""

from __future__ import annotations

from typing import Any

import pytest

from evidence.canary_kit import evaluation, part
from gitml.errors import UsageError
from gitml.reports.canary import LIMIT, canary_report
from gitml.reports.canarychart import chart
from gitml.reports.charts import check

POINTS = [
    {"at": f"2026-03-0{day}T08:00:00Z", "difference": 0.02, "low": low, "high": high}
    for day, low, high in ((1, None, None), (2, -0.2, 0.3), (3, -0.01, 0.05))
]


def no_picture(specs: Any) -> list[bytes]:
    raise UsageError("charts need the package vl-convert-python")


def told(**more: Any) -> str:
    return canary_report(evaluation(**more), draw=no_picture).text


def test_it_says_verdict_reason_numbers_and_what_follows() -> None:
    text = told(notes=["Requests name no units: each such request is a unit of its own."])
    assert text.startswith("## 🟢 `m@3f2a90bc` may become champion\n")
    assert "Beside the champion `0badcafe` in production, by split traffic" in text
    assert (
        "| 🟢 `accuracy` | 0.800 | 0.820 | +0.020 | +0.010 to +0.030 | ≥ −0.01 | 900 / 100 | 900 / 100 |"
        in text.replace("\u00a0", " ")
    )
    assert "Weight of the candidate: 10 % since Sun 2026-03-01 08:00 UTC" in text
    assert "At 10 % of the traffic it is ready for 50 %" in text
    assert "Labels: 90.0 % of the candidate's rows" in text
    assert "one takes 12.0 hours" in text
    assert "Requests name no units" in text
    assert "next look Sun 2026-03-01 10:00 UTC" in text
    assert "rules `cccccccccccc`" in text


def test_what_follows_is_said_only_where_something_does() -> None:
    ends = "2026-03-31T08:00:00Z"
    failed, passed, waiting = (told(phase=p, ends=ends) for p in ("failed", "successful", "inconclusive"))
    assert "of the traffic it is" not in failed
    assert "At 10 % of the traffic it is ready" in passed
    assert "expires undecided" not in failed + passed
    assert "It expires undecided Tue 2026-03-31 08:00 UTC" in waiting
    assert "It expired undecided" in told(phase="inconclusive", ends="2026-03-01T09:00:00Z")


@pytest.mark.parametrize(
    ("phase", "mark", "words"),
    [
        ("failed", "🔴", "must not become champion"),
        ("inconclusive", "🟡", "is not decided yet"),
        ("error", "🟡", "cannot be judged"),
    ],
)
def test_each_state_has_its_words(phase: str, mark: str, words: str) -> None:
    assert told(phase=phase).startswith(f"## {mark} `m@3f2a90bc` {words}")


def test_what_is_still_needed_is_said_of_each_part() -> None:
    open_part = part(phase="inconclusive") | {"needed": {"units": 1200, "days": 3.0}}
    assert "- `accuracy`: ~1,200 units, 3 days" in told(phase="inconclusive", parts=[open_part])


def test_open_ends_are_shown_as_such() -> None:
    one = part("errors", of="guardrail") | {"low": None, "high": 0.004}
    assert "| ≤\u00a0+0.4\u00a0% |" in told(parts=[one, part()])


def test_shares_are_percentages_and_each_row_says_what_is_required() -> None:
    rate = part("errors", of="guardrail") | {
        "champion": 0.0, "candidate": 0.0057, "difference": 0.0057, "low": -0.0007, "high": 0.012, "margin": 0.01,
    }  # fmt: skip
    rows = told(parts=[rate, part() | {"margin": 0.0}, part("mae") | {"margin": 0.5}]).replace("\u00a0", " ")
    assert "| 🟢 `errors` | 0 % | 0.57 % | +0.57 % | −0.07 to +1.20 % | ≤ 1 % | 900 / 100 |" in rows
    assert "| better |" in rows
    assert "| ≤ +0.5 |" in rows


def test_what_is_held_against_nothing_is_told_in_words() -> None:
    free = part("answers", of="disagreement") | {"margin": None, "reason": "4.0% of the answers are other ones"}
    text = told(parts=[free, part()])
    assert "- 🟢 4\\.0% of the answers are other ones" in text
    assert "| 🟢\u00a0`answers`" not in text
    assert "| 🟢\u00a0`answers`" in told(parts=[free | {"margin": 0.1}])


def test_names_from_outside_cannot_break_it() -> None:
    wild = part("<img src=x> @everyone | x")
    text = told(parts=[wild], reason="see <script> @ada")
    assert "<script>" not in text
    assert "@ada" not in text.replace("@\u2060ada", "").replace("@&#8288;ada", "") or "\\@" in text


def test_a_thousand_parts_still_fit_a_comment() -> None:
    many = [part(f"kpi {n} " + "x" * 300, of="kpi") for n in range(1_000)]
    assert len(told(parts=many).encode()) <= LIMIT


def test_the_picture_is_the_sequence_with_its_margin() -> None:
    spec = chart(evaluation(series=POINTS))
    assert spec is not None
    check(spec)
    assert len(spec["data"]["values"]) == 2, "a moment without any end has no band"
    assert spec["layer"][2]["encoding"]["y"]["datum"] == -0.01
    assert chart(evaluation(series=POINTS[:1])) is None
    page = canary_report(evaluation(series=POINTS), draw=lambda specs: [b"png" for _ in specs])
    (name,) = page.pictures
    assert f"![the difference and its range over time]({name})" in page.text
    assert name == "m-production-3f2a90bc.png"


def test_equal_evaluations_give_equal_bytes() -> None:
    assert told() == told()
