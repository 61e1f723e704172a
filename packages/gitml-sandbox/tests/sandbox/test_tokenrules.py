"""What a job's token may do."""

import pytest

from gitml_sandbox.actions.permissions import SCOPES, permissions, trust
from gitml_sandbox.actions.workflows import WorkflowError


def given(
    workflow: dict[str, object], job: dict[str, object], default: str = "read", read_only: bool = False
) -> dict[str, str]:
    return permissions(workflow, job, default=default, read_only=read_only)


def test_the_repository_decides_when_the_workflow_does_not() -> None:
    assert given({}, {}) == {"contents": "read", "packages": "read"}
    assert given({}, {}, "write")["contents"] == "write"
    assert "id-token" not in given({}, {}, "write")


def test_naming_one_scope_takes_away_all_others() -> None:
    assert given({"permissions": {"statuses": "write"}}, {}, "write") == {"statuses": "write"}
    assert given({"permissions": "read-all"}, {}) == {s: "read" for s in SCOPES if s != "id-token"}
    assert given({"permissions": {}}, {}, "write") == {}
    assert given({"permissions": {"contents": "none"}}, {}, "write") == {}


def test_a_job_replaces_what_the_workflow_says() -> None:
    assert given({"permissions": "write-all"}, {"permissions": {"contents": "read"}}) == {"contents": "read"}
    assert given({"permissions": {"contents": "read"}}, {"permissions": {"issues": "write"}}) == {"issues": "write"}


def test_a_fork_only_reads_and_sees_no_secrets() -> None:
    for event in ("pull_request", "pull_request_review"):
        assert trust(event, fork=True).read_only
        assert not trust(event, fork=True).secrets
    for event in ("pull_request_target", "workflow_run"):
        assert trust(event, fork=True).secrets
    assert trust("pull_request", fork=False).secrets
    assert given({"permissions": "write-all"}, {}, read_only=True)["contents"] == "read"
    assert given({"permissions": {"id-token": "write", "contents": "write"}}, {}, read_only=True) == {
        "contents": "read"
    }


@pytest.mark.parametrize("block", ["all", {"code": "read"}, {"contents": "admin"}, 3])
def test_unknown_words_are_refused(block: object) -> None:
    with pytest.raises(WorkflowError):
        given({"permissions": block}, {})
