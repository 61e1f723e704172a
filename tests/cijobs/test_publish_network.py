"""Publishing through a bad network, while others write too."""

import threading
from pathlib import Path

import pytest

from cijobs.publishing import desk, failed
from forges.chaos_kit import Chaos
from sandbox.forge_kit import Kit

pytestmark = pytest.mark.slow


def test_a_pull_request_that_closes_meanwhile(kit: Kit, tmp_path: Path, chaos: Chaos) -> None:
    d = desk(kit, tmp_path)
    d.url = chaos.url
    chaos.before["POST .*/comments"] = lambda: d.ada.patch(f"pulls/{d.number}", state="closed")
    assert d.run().place == f"pull request {d.number}"
    assert d.ada.get(f"pulls/{d.number}")["state"] == "closed"
    assert len(d.comments()) == 1
    assert d.run(d.report(failed()), run=2).place.startswith("commit")
    assert len(d.comments()) == 1


def test_a_comment_that_somebody_deletes_meanwhile(kit: Kit, tmp_path: Path, chaos: Chaos) -> None:
    d = desk(kit, tmp_path)
    d.run()
    comment = d.comments()[0].id
    d.url = chaos.url
    chaos.before["PATCH .*/comments"] = lambda: d.ada.delete(f"issues/comments/{comment}")
    assert d.run(d.report(failed()), run=2).how == "posted"
    (fresh,) = d.comments()
    assert fresh.id != comment
    assert "boom" in fresh.body


@pytest.mark.parametrize("fault", ["lost", "dropped", "slow", "cut", "html"])
def test_answers_that_are_lost(kit: Kit, tmp_path: Path, chaos: Chaos, fault: str) -> None:
    d = desk(kit, tmp_path)
    d.url = chaos.url
    plan = chaos.plan(fault, "POST .*/comments")
    assert d.run().how == "posted"
    assert plan.hits == 1
    assert len(d.comments()) == 1
    assert d.status()[0] == "success"


def test_everything_fails_once(kit: Kit, tmp_path: Path, chaos: Chaos) -> None:
    d = desk(kit, tmp_path)
    d.url = chaos.url
    for call in ("GET .*/pulls", "GET .*/comments", "POST .*/comments", "POST .*/statuses", "GET /api/v3/user"):
        chaos.plan("502", call)
        chaos.plan("dropped", call)
    d.run()
    assert len(d.comments()) == 1
    assert d.status()[0] == "success"
    assert any("again in" in line for line in d.said)


@pytest.mark.parametrize("count", [2, 5])
def test_publishers_at_once_end_with_one_comment(kit: Kit, tmp_path: Path, count: int) -> None:
    d = desk(kit, tmp_path)
    wrong: list[BaseException] = []

    def go(number: int) -> None:
        try:
            d.run(d.report(failed(tail=f"from run {number}")), run=number)
        except BaseException as exc:
            wrong.append(exc)

    threads = [threading.Thread(target=go, args=(n,)) for n in range(1, count + 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(d.comments()) == 1
    d.run(d.report(failed(tail="the last word")), run=99)
    (comment,) = d.comments()
    assert "the last word" in comment.body
