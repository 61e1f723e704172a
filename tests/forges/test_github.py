"""GitHub's client beyond what every forge does: a bad network, many pages, tokens, and answers that are wrong."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from forges.chaos_kit import SLOW, Chaos
from forges.fixtures import many_comments
from gitml.errors import OutsideError, UsageError
from gitml.forges.base import NewPull, OnCommit, OnPull, State, Status
from gitml.forges.github.repository import Github
from gitml.forges.settings import Settings
from gitml.forges.table import connect, settings_from
from gitml.http import HttpError, UnsureError
from gitml.retries import Patience
from gitml_sandbox.forge import tokens
from sandbox.forge_kit import Kit
from sandbox.rest_kit import Api, seeded

QUICK = Patience(tries=5, total=20, first=0.05, longest=0.2, answer=1.0)


def settings(kit: Kit, repo: str, login: str = "ada", url: str = "") -> Settings:
    return Settings(f"{url or kit.url}/api/v3", kit.url, repo, kit.token.get(login, login))


@contextmanager
def forge(chosen: Settings, patience: Patience = QUICK) -> Iterator[Github]:
    with connect(chosen, patience=patience) as opened:
        yield opened


def bodies(api: Api, number: int) -> list[str]:
    return [c["body"] for c in api.get(f"issues/{number}/comments", per_page=100)]


def test_a_pull_request_is_opened_once(kit: Kit, chaos: Chaos) -> None:
    _, ada, _, _ = seeded(kit)
    ada.branch("retrain")
    ada.write("lock", "1", "retrain")
    new = NewPull("Retrain", "retrain", "main", "because")
    with forge(settings(kit, ada.repo, url=chaos.url)) as hub:
        chaos.plan("dropped", "POST .*/pulls")
        first = hub.pulls.open(new)
        assert hub.pulls.open(new) == first
    assert [p["number"] for p in ada.get("pulls")] == [first.number]


def test_comments_over_many_pages(kit: Kit) -> None:
    _, ada, _, _ = seeded(kit)
    number = ada.pull()["number"]
    many_comments(kit, ada.repo, number, 150)
    with forge(settings(kit, ada.repo)) as hub:
        found = hub.comments.list(OnPull(number))
    assert [c.body for c in found] == [f"comment {i}" for i in range(150)]


SECONDS = [pytest.param(fault, marks=pytest.mark.slow) for fault in ("503", "429", "limited", "slow")]


@pytest.mark.parametrize("fault", ["502", "drop", "lost", "cut", "dropped", "html", *SECONDS])
def test_a_comment_is_neither_lost_nor_doubled(kit: Kit, chaos: Chaos, fault: str) -> None:
    _, ada, _, _ = seeded(kit)
    number = ada.pull()["number"]
    with forge(settings(kit, ada.repo, url=chaos.url)) as hub:
        chaos.plan(fault, "POST .*/comments")
        made = hub.comments.add(OnPull(number), "the report")
        # Waiting as long as the server asks is the same for each kind of call.
        if fault in ("429", "503", "limited", "slow"):
            assert [c.id for c in hub.comments.list(OnPull(number))] == [made.id]
            return
        chaos.plan(fault, "GET .*/comments")
        assert [c.id for c in hub.comments.list(OnPull(number))] == [made.id]
        chaos.plan(fault, "PATCH ")
        assert hub.comments.edit(OnPull(number), made.id, "changed") is not None
        assert bodies(ada, number) == ["changed"]
        chaos.plan(fault, "DELETE ")
        hub.comments.delete(OnPull(number), made.id)
    assert bodies(ada, number) == []


def test_a_conflict_is_tried_again_where_that_is_safe(kit: Kit, chaos: Chaos) -> None:
    _, ada, _, _ = seeded(kit)
    head = ada.tip("main")
    with forge(settings(kit, ada.repo, url=chaos.url)) as hub:
        chaos.plan("conflict", "POST .*/statuses", times=2)
        assert hub.commits.post(head, Status("c", State.SUCCESS)).state is State.SUCCESS
        chaos.plan("conflict", "POST .*/comments")
        with pytest.raises(HttpError, match="409") as caught:
            hub.comments.add(OnCommit(head), "x")
        assert caught.value.status == 409


def test_the_server_asks_for_more_patience_than_there_is(kit: Kit, chaos: Chaos) -> None:
    _, ada, _, _ = seeded(kit)
    chaos.plan("late", "GET ", times=9)
    began = time.monotonic()
    with forge(settings(kit, ada.repo, url=chaos.url)) as hub, pytest.raises(HttpError) as caught:
        hub.about()
    assert time.monotonic() - began < 2
    assert "rate limit" in caught.value.message
    assert "3600 s" in caught.value.hint


def test_an_error_at_last(kit: Kit, chaos: Chaos) -> None:
    _, ada, _, _ = seeded(kit)
    heard: list[str] = []
    chaos.plan("502", "", times=99)
    chosen = settings(kit, ada.repo, url=chaos.url)
    with connect(chosen, patience=QUICK, note=heard.append) as hub, pytest.raises(HttpError) as caught:
        hub.about()
    assert caught.value.status == 502
    assert caught.value.exit_code == 4
    assert f"127.0.0.1: GET repos/{ada.repo}: 502" in caught.value.message
    assert "5 tries" in caught.value.message
    assert caught.value.hint
    assert len(heard) == 4


def test_a_comment_that_stays_uncertain(kit: Kit, chaos: Chaos) -> None:
    _, ada, _, _ = seeded(kit)
    number = ada.pull()["number"]
    chaos.plan("502", "POST ", times=9)
    with forge(settings(kit, ada.repo, url=chaos.url)) as hub, pytest.raises(UnsureError, match="502"):
        hub.comments.add(OnPull(number), "x")
    assert bodies(ada, number) == []
    assert chaos.count("POST ") == 3


@pytest.mark.parametrize("fault", ["shape", "html"])
def test_answers_that_are_not_what_github_describes(kit: Kit, chaos: Chaos, fault: str) -> None:
    _, ada, _, _ = seeded(kit)
    chaos.plan(fault, "", times=99)
    with forge(settings(kit, ada.repo, url=chaos.url)) as hub:
        for ask in (hub.about, lambda: hub.pulls.of_branch("x"), lambda: hub.runs.jobs(1), lambda: hub.pulls.get(1)):
            with pytest.raises(HttpError, match=r"describes|not JSON"):
                ask()


def test_the_token_stays_with_its_server(kit: Kit, chaos: Chaos) -> None:
    _, ada, _, _ = seeded(kit)
    chaos.plan("away", "GET ")
    with forge(settings(kit, ada.repo, url=chaos.url)) as hub, pytest.raises(HttpError, match="307"):
        hub.about()
    # Links to the next page that the sandbox writes lead past the proxy: only their query is followed.
    number = ada.pull()["number"]
    many_comments(kit, ada.repo, number, 101)
    chaos.calm()
    with forge(settings(kit, ada.repo, url=chaos.url)) as hub:
        assert len(hub.comments.list(OnPull(number))) == 101
    assert chaos.count("comments") == 2


def test_tokens_do_not_leak(kit: Kit, chaos: Chaos, caplog: pytest.LogCaptureFixture) -> None:
    _, ada, _, _ = seeded(kit)
    chosen = settings(kit, ada.repo, url=chaos.url)
    heard: list[str] = []
    chaos.plan("502", "", times=3)
    chaos.plan("404", "")
    with caplog.at_level(logging.DEBUG), connect(chosen, patience=QUICK, note=heard.append) as hub:
        hub.about()
        said = [repr(chosen), str(chosen), repr(hub), *heard, caplog.text]
        for bad in (replace(chosen, token=chosen.token + "\n x"), replace(chosen, token=chosen.token + "é")):
            with pytest.raises(UsageError) as caught, connect(bad):
                pass
            said += [caught.value.message, caught.value.hint, repr(caught.value)]
    assert all(chosen.token not in text for text in said)
    assert len(heard) == 3


def test_wrong_and_weak_tokens(kit: Kit) -> None:
    repo, ada, _, _ = seeded(kit, private=True)
    number = ada.pull()["number"]
    with forge(settings(kit, ada.repo, "ghp_wrong")) as hub, pytest.raises(HttpError, match="401") as caught:
        hub.about()
    assert "revoked" in caught.value.hint
    with kit.sandbox.store.write() as tx:
        weak = tokens.mint(
            tx, user_id=kit.user("gitml-bot[bot]").id, kind="job", repo_id=repo.id, permissions={"contents": "read"}
        )
    with forge(settings(kit, ada.repo, weak)) as hub:
        assert hub.me() == ""
        with pytest.raises(HttpError, match=r"403.*not accessible") as caught:
            hub.comments.add(OnPull(number), "x")
    assert "permission" in caught.value.hint
    assert caught.value.status == 403


def test_no_server_at_all(kit: Kit) -> None:
    chosen = Settings("http://127.0.0.1:9/api/v3", "http://127.0.0.1:9", "a/b", "ghp_nobody")
    with forge(chosen) as hub, pytest.raises(OutsideError, match=r"no connection.*5 tries"):
        hub.about()


@pytest.mark.nightly
def test_slow_answers_end(kit: Kit, chaos: Chaos) -> None:
    _, ada, _, _ = seeded(kit)
    chaos.plan("slow", "", times=2)
    began = time.monotonic()
    chosen = settings(kit, ada.repo, url=chaos.url)
    with forge(chosen, replace(QUICK, tries=2)) as hub, pytest.raises(HttpError, match="no answer within 1 s"):
        hub.about()
    assert time.monotonic() - began < SLOW


def test_many_writers(kit: Kit) -> None:
    _, ada, _, _ = seeded(kit)
    place = OnCommit(ada.tip("main"))

    def add(number: int) -> None:
        with forge(settings(kit, ada.repo)) as hub:
            hub.comments.add(place, str(number))

    threads = [threading.Thread(target=add, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with forge(settings(kit, ada.repo)) as hub:
        assert sorted(c.body for c in hub.comments.list(place)) == [str(n) for n in range(8)]


@pytest.mark.parametrize(
    ("env", "remote", "api", "repository"),
    [
        ({"GITHUB_REPOSITORY": "o/r"}, "", "https://api.github.com", "o/r"),
        ({"GITHUB_REPOSITORY": "o/r", "GITHUB_API_URL": "https://g.x/api/v3/"}, "", "https://g.x/api/v3", "o/r"),
        ({"GITHUB_REPOSITORY": "o/r", "GITHUB_SERVER_URL": "https://g.x"}, "", "https://g.x/api/v3", "o/r"),
        ({}, "git@github.com:o/r.git", "https://api.github.com", "o/r"),
        ({}, "ssh://git@g.x:2222/o/r.git", "https://g.x/api/v3", "o/r"),
        ({}, "http://x:secret@127.0.0.1:8471/o/r.git", "http://127.0.0.1:8471/api/v3", "o/r"),
    ],
)
def test_settings(env: dict[str, str], remote: str, api: str, repository: str) -> None:
    found = settings_from(env, remote)
    assert (found.api, found.repository) == (api, repository)
    assert "secret" not in f"{found.web}{found.api}"


@pytest.mark.parametrize("name", ["", "x", "a/..", "../a", "a/b/c", "a/b?x", "a b/c"])
def test_repositories_that_are_none(name: str) -> None:
    with pytest.raises(UsageError, match=r"no repository|names no repository"):
        settings_from({"GITHUB_REPOSITORY": name})


@pytest.mark.parametrize("origin", ["/srv/git/app.git", "../app.git", "file:///srv/app.git"])
def test_a_folder_as_origin_is_told_apart_from_none(origin: str) -> None:
    with pytest.raises(UsageError, match="origin is a folder or file, and no repository of a forge") as raised:
        settings_from({}, origin)
    assert "git remote set-url origin URL" in str(raised.value.hint)
    assert settings_from({"GITHUB_REPOSITORY": "o/r"}, origin).repository == "o/r"


@pytest.mark.parametrize("url", ["http://example.org/api", "ftp://x", "https://u:p@x.example", ""])
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(UsageError), connect(Settings(url, "https://x.example", "a/b", "t")):
        pass


def test_where_there_are_no_drafts_an_ordinary_pull_request_is_opened() -> None:
    """As GitHub answers in private repositories of free plans."""
    asked: list[bool] = []

    class Plain(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(200, [])

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked.append(body["draft"])
            if body["draft"]:
                said = {"message": "Draft pull requests are not supported in this repository."}
                self._say(422, {"message": "Validation Failed", "errors": [said]})
                return
            side = {"ref": body["head"], "sha": "a" * 40, "repo": {"full_name": "ada/app"}}
            self._say(
                201,
                {
                    "number": 1,
                    "html_url": "x",
                    "state": "open",
                    "draft": False,
                    "head": side,
                    "base": side,
                    "labels": [],
                },
            )

        def _say(self, code: int, value: object) -> None:
            raw = json.dumps(value).encode()
            self.send_response(code)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Plain)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        with forge(Settings(f"{url}/api/v3", url, "ada/app", "token")) as hub:
            assert not hub.pulls.open(NewPull("t", "b", "main", draft=True)).is_draft
            assert asked == [True, False]
    finally:
        server.shutdown()
        server.server_close()
