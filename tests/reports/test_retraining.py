"""The text of a retraining: the case in plain words, hostile text shown and doing nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gitml.reports.retraining import LookedWindow, RetrainStory, no_gain, text, title

AT = datetime(2026, 3, 3, 12, tzinfo=UTC)
WINDOW = LookedWindow(
    datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC), 1400, "a" * 64, "http://forge/look"
)


def story(**more: Any) -> RetrainStory:
    about: dict[str, Any] = {"model": "delay", "cause": "drift", "reason": "fare moved", "since": AT, "at": AT}
    return RetrainStory(**{**about, **more})


def test_it_says_who_saw_what_how_sure_and_how_to_say_no() -> None:
    shows = {"column": "fare", "estimate": 0.2, "low": 0.15, "high": 0.25, "floor": 0.05}
    told = text(story(environment="production", version="v1", windows=[WINDOW], shows=shows, gpu_hours=2.0, hours=0.5))
    for said in (
        "monitor of `delay` in `production`, since 2026-03-03 12:00 UTC",
        "`fare` 0.2, between 0.15 and 0.25, and nobody minds 0.05",
        "[Look](http://forge/look) at 2026-03-01 00:00 to 2026-03-02 00:00 UTC: 1,400 rows, counts `aaaaaaaaaaaa`",
        "0.5 h of training, 2 GPU hours",
        "Gain: not known",
        "gitml retrain decline delay --cause drift --for 14d",
    ):
        assert said in told


def test_harm_says_what_there_is_to_win_back_and_no_more() -> None:
    shows = {"metric": "auc", "value": 0.61, "low": 0.58, "high": 0.64, "evaluated": 0.7}
    told = text(story(cause="performance", shows=shows, error=10.7))
    assert "at best `auc` from 0.61 back to 0.7, which its evaluation had" in told
    assert "a wrong answer costs 10.7" in told


def test_what_forbids_the_merge_stands_at_the_top() -> None:
    told = text(story(warnings=["the data break their contract in production: missing"]))
    assert told.index("Do not merge now") < told.index("What makes it due")


@pytest.mark.parametrize(
    "evil", ["@everybody", "<img src=x>", "| a | b |\n# head", "closes #1", "`x` [a](http://evil)"]
)
def test_hostile_words_do_nothing(evil: str) -> None:
    told = text(story(reason=evil, shows={"column": evil, "estimate": 1.0, "low": 1.0}, set={evil: ("today", evil)}))
    assert "@everybody" not in told.replace("`@everybody`", "")
    assert "<img" not in told.replace("`<img src=x>`", "").replace("\\<img", "")
    assert "\n# head" not in told
    assert "closes #1" not in told.replace("`closes #1`", "")
    assert "](http://evil)" not in told.replace("`` `x` [a](http://evil) ``", "")


def test_what_a_person_asks_for_is_not_declined_by_cause() -> None:
    told = text(story(cause="by-hand", by="ada"))
    assert "`ada` asks to train `delay` again: a person asked for it" in told
    assert "decline" not in told
    assert title("delay", "by-hand") == "Retrain delay: a person asked for it"
    assert "#3, #5" in no_gain("delay", [3, 5])
