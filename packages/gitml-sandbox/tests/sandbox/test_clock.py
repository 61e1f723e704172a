"""The forge's time: that of the machine, or as far ahead of it as the file says that GITML_CLOCK names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gitml_sandbox.clock import VARIABLE, iso_of, utc_now
from gitml_sandbox.errors import UsageError
from sandbox.forge_kit import Kit
from sandbox.rest_kit import seeded


def days_ahead(text: str) -> int:
    return round((datetime.fromisoformat(text) - datetime.now(UTC)) / timedelta(days=1))


def test_what_the_forge_dates_follows_the_turned_clock(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "clock"
    file.write_text("1w")
    monkeypatch.setenv(VARIABLE, str(file))
    repo, ada, _, _ = seeded(kit)
    pull = ada.pull()
    with kit.sandbox.store.read() as tx:
        told = tx.execute("SELECT created_at FROM events WHERE repo_id = ? AND name = 'pull_request'", (repo.id,))
        assert {days_ahead(row["created_at"]) for row in told} == {7}, "what pages and labels go by"
    merged = ada.merge(pull["number"], expect=200)
    commit = ada.get(f"commits/{merged['sha']}")["commit"]
    assert [days_ahead(text) for text in (pull["created_at"], commit["committer"]["date"])] == [7, 7]
    file.write_text("0s\n")
    assert abs(utc_now() - datetime.now(UTC)) < timedelta(seconds=5)


@pytest.mark.parametrize("said", ["", "tomorrow", "-1d", "1y", "\udcff"])
def test_a_file_that_says_nothing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    (tmp_path / "clock").write_text(said, errors="surrogateescape")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "clock"))
    with pytest.raises(UsageError, match="clock"):
        utc_now()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none"))
    with pytest.raises(UsageError, match="cannot be read"):
        utc_now()


def test_dates_beyond_all_years_can_be_shown() -> None:
    assert [iso_of(n)[:4] for n in (-5, 0, 4_102_444_800, 10**11, 10**18)] == ["1970", "1970", "2100", "5138", "9999"]
