"""CML beside gitml. A stand-in takes its place, and where CML 0.20.6 is on PATH the same tests run with it too."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cijobs.publishing import Desk, as_person, desk, failed, png, weak, with_chart
from forges.fixtures import many_comments
from gitml.errors import GitmlError
from gitml.forges import cml
from gitml.forges.base import Comment, OnCommit, OnPull
from gitml.forges.settings import Settings
from gitml.publishing import posting
from gitml_sandbox.server.serve import Options, serving
from sandbox.forge_kit import Kit, people
from sandbox.rest_kit import close_clients

pytestmark = pytest.mark.slow
STAND_IN = Path(__file__).with_name("cml_stand_in.py")
# Notes what it is called with, and becomes the program.
BEFORE = """#!/bin/sh
[ "$1" = --version ] || {{ echo "CALL $*"; env; }} >> "{calls}"
exec {program} "$@"
"""


def has_cml() -> bool:
    """Whether the version that is known here is on PATH."""
    try:
        return bool(cml.find_cml())
    except GitmlError:
        return False


NO_CML = pytest.mark.skipif(not has_cml(), reason=f"CML {cml.VERSION} is not on PATH")


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    """A sandbox with HTTPS: CML speaks nothing else."""
    root = tmp_path_factory.mktemp("sandbox") / "state"
    with serving(root, Options(port=0, runner=False, tls=True)) as running, pytest.MonkeyPatch.context() as patch:
        authority = str(running.address.ca)
        for name in ("SSL_CERT_FILE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS"):
            patch.setenv(name, authority)
        yield Kit(running.sandbox, running.address.url, people(running.sandbox))
        close_clients(running.address.url)


def with_program(kit: Kit, folder: Path, program: str) -> Desk:
    """A pull request, and that program on PATH as cml."""
    before = folder / "bin" / "cml"
    before.parent.mkdir()
    before.write_text(BEFORE.format(calls=folder / "calls", program=program))
    before.chmod(0o755)
    d = desk(kit, folder)
    d.env["PATH"] = f"{before.parent}:/usr/bin:/bin"
    return d


@pytest.fixture(params=["stand-in", pytest.param("cml", marks=NO_CML)])
def bench(request: pytest.FixtureRequest, kit: Kit, tmp_path: Path) -> Desk:
    """Once with the stand-in, once with CML itself."""
    real = request.param == "cml"
    return with_program(kit, tmp_path, f"'{shutil.which('cml')}'" if real else f"'{sys.executable}' '{STAND_IN}'")


@pytest.fixture
def stood(kit: Kit, tmp_path: Path) -> Desk:
    """With the stand-in alone, which can misbehave."""
    return with_program(kit, tmp_path, f"'{sys.executable}' '{STAND_IN}'")


def calls(d: Desk) -> list[str]:
    log = d.folder / "calls"
    return log.read_text().splitlines() if log.exists() else []


def called(d: Desk) -> list[str]:
    return [line for line in calls(d) if line.startswith("CALL ")]


def why(d: Desk) -> str:
    """Why CML was not used, as it was said; one line, without the token."""
    (line,) = (line for line in d.said if line.startswith("cml is not used: "))
    assert d.token not in line
    assert "\n" not in line
    return line.removeprefix("cml is not used: ")


def test_cml_posts_and_updates(bench: Desk) -> None:
    first = bench.run(publisher="auto")
    second = bench.run(bench.report(failed()), run=2, publisher="auto")
    assert (first.how, first.by, second.how, second.by) == ("posted", "cml", "updated", "cml")
    (comment,) = bench.comments()
    assert "boom" in comment.body
    assert comment.body.endswith(f'![](https://cml.dev/watermark.png#{bench.head} "CML watermark gitml toy/train")')
    assert bench.said.count("the report was posted by cml") == 2
    words = called(bench)[0].split()
    assert words[1:3] == ["comment", "create"]
    assert {f"--target=pr/{bench.number}", "--update", "--publish=false"} <= set(words)
    assert bench.token not in called(bench)[0]
    assert "ITERATIVE_DO_NOT_TRACK=1" in calls(bench)
    assert bench.status()[0] == "failure"


def test_cml_comments_a_commit(bench: Desk) -> None:
    bench.ada.patch(f"pulls/{bench.number}", state="closed")
    assert [bench.run(publisher="auto").by, bench.run(bench.report(failed()), run=2).by] == ["cml", "cml"]
    assert len(bench.ada.get(f"commits/{bench.head}/comments")) == 1


def test_switching_there_and_back_does_not_double(bench: Desk) -> None:
    reports = [bench.report(failed(tail=f"round {n}")) for n in range(4)]
    done = [
        bench.run(report, run=number, publisher=who)
        for number, (report, who) in enumerate(zip(reports, ["gitml", "cml", "gitml", "cml"], strict=True), 1)
    ]
    assert [d.by for d in done] == ["gitml", "cml", "gitml", "cml"]
    assert len({d.url for d in done}) == 1
    (comment,) = bench.comments()
    assert "round 3" in comment.body
    assert comment.body.count("CML watermark") == 1


def test_nothing_to_write_calls_nobody(bench: Desk) -> None:
    bench.run(publisher="cml")
    bench.run(publisher="cml")
    assert len(called(bench)) == 1


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("fails", "cml failed with exit code 1: Bad credentials for *** ::error::x"),
        ("crashes", "cml failed with exit code 1: SyntaxError: Unexpected token"),
        ("old", "cml is version '0.19.1', known here is 0.20.6"),
    ],
)
def test_when_cml_cannot_gitml_posts(stood: Desk, monkeypatch: pytest.MonkeyPatch, word: str, reason: str) -> None:
    monkeypatch.setenv("STAND_IN_MODE", word)
    done = stood.run(publisher="cml")
    assert (done.how, done.by) == ("posted", "gitml")
    assert len(stood.comments()) == 1
    assert why(stood) == reason


@pytest.mark.nightly
@pytest.mark.parametrize("word", ["hangs", "hangs early"])
def test_cml_that_hangs(stood: Desk, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("STAND_IN_MODE", word)
    stood.cml_seconds = 2
    assert stood.run(publisher="auto").url
    assert len(stood.comments()) == 1
    assert why(stood) == "cml did not end within 2 s"


def test_cml_that_says_it_posted_and_did_not(stood: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN_MODE", "lies")
    done = stood.run(publisher="auto")
    assert (done.how, done.by) == ("posted", "gitml")
    assert len(stood.comments()) == 1


def test_the_jobs_variables_are_no_options_of_cml(bench: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "CML_TOKEN": bench.kit.token["olga"],
        "CML_SEND_COMMENT_WATCH": "true",
        "CML_COMMENT_RM_WATERMARK": "true",
        "CML_COMMENT_NO_SUCH_OPTION": "1",
        "GITHUB_EVENT_PATH": str(bench.folder / "no-event.json"),
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_SERVER_URL": bench.kit.url,
        "CI": "true",
    }.items():
        monkeypatch.setenv(name, value)
    assert bench.run(publisher="auto").by == "cml"
    (comment,) = bench.comments()
    assert comment.author == "gitml-bot[bot]"
    seen = {line.split("=")[0] for line in calls(bench)}
    assert not {"CML_TOKEN", "CI", "GITHUB_SERVER_URL"} & seen


def test_an_authority_that_cml_does_not_know(bench: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    known = bench.folder / "empty.pem"
    known.touch()
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(known))
    monkeypatch.setenv("SSL_CERT_FILE", str(known))
    found, place = cml.find_cml(bench.env["PATH"]), OnPull(bench.number)
    with pytest.raises(GitmlError) as caught:
        found.comment(bench.world().settings, place, "x", label="gitml x", commit=bench.head)
    assert "certificate" in caught.value.message
    assert len(caught.value.message) < 450


def test_a_job_that_may_not_comment(bench: Desk) -> None:
    bench.token = weak(bench, contents="write", statuses="write")
    with pytest.raises(GitmlError, match="not accessible"):
        bench.run(publisher="auto")
    assert "exit code 1: Resource not accessible" in why(bench)
    assert bench.status()[1].endswith("(the report could not be posted)")


def test_pictures_stay_where_gitml_put_them(bench: Desk) -> None:
    (bench.folder / "report-pictures").mkdir()
    (bench.folder / "report-pictures" / "roc.png").write_bytes(png())
    assert bench.run(with_chart(bench.report(), "roc.png"), publisher="cml").by == "cml"
    (comment,) = bench.comments()
    assert f"{bench.kit.url}/{bench.ada.repo}/raw/gitml-assets/" in comment.body
    assert bench.said == ["the report was posted by cml"]


@pytest.mark.parametrize("place", ["pull", "commit"])
def test_how_many_comments_cml_reads(bench: Desk, place: str) -> None:
    """A pull request's first page, and all of a commit's: what gitml counts with before it lets CML post."""
    settings = bench.world().settings
    where = OnPull(bench.number) if place == "pull" else OnCommit(bench.head)
    many_comments(bench.kit, bench.ada.repo, bench.number, cml.PAGE)
    if place == "commit":
        for number in range(cml.PAGE + 1):
            bench.ada.post(f"commits/{bench.head}/comments", body=f"c {number}")
    program = cml.find_cml(bench.env["PATH"])
    urls = [program.comment(settings, where, f"text {n}", label="gitml a_b/train", commit=bench.head) for n in (1, 2)]
    assert len(set(urls)) == (2 if place == "pull" else 1)
    path = f"issues/{bench.number}/comments" if place == "pull" else f"commits/{bench.head}/comments"
    last = bench.ada.get(path, per_page=100)[-1]
    assert last["body"] == f"text 2\n\n{cml.watermark('gitml a_b/train', bench.head)}"
    assert last["html_url"] == urls[-1]


def test_without_cml(stood: Desk) -> None:
    stood.env["PATH"] = "/usr/bin:/bin"
    assert stood.run(publisher="auto").by == "gitml"
    assert any("there is no cml on PATH" in line for line in stood.said)


def test_cml_is_not_asked_when_gitml_is_wanted(stood: Desk) -> None:
    assert stood.run(publisher="gitml").by == "gitml"
    assert called(stood) == []


def test_a_forged_watermark_keeps_cml_away(stood: Desk) -> None:
    mark = cml.watermark("gitml toy/train", "a" * 40)
    as_person(stood, "eve").post(f"issues/{stood.number}/comments", body=f"mine {mark}")
    assert stood.run(publisher="auto").by == "gitml"
    assert any("it would change a comment by eve" in line for line in stood.said)
    assert stood.run(stood.report(failed()), run=2, publisher="auto").by == "gitml"
    assert len(stood.comments()) == 1
    assert called(stood) == []


def test_pages_that_cml_does_not_read(stood: Desk) -> None:
    many_comments(stood.kit, stood.ada.repo, stood.number, 35)
    stood.run(publisher="gitml")
    assert stood.run(stood.report(failed()), run=2, publisher="auto").by == "gitml"
    assert any("on a page that cml does not read" in line for line in stood.said)
    assert len(stood.comments()) == 1
    assert called(stood) == []


def test_another_api_than_cml_would_call() -> None:
    settings = Settings("https://api.example.org", "https://example.org", "a/b", "t")
    assert "would call https://example.org/api/v3" in cml.why_unreachable(settings)
    assert cml.why_unreachable(Settings("https://api.github.com", "https://github.com", "a/b", "t")) == ""


def test_which_comment_cml_would_pick() -> None:
    mark = cml.watermark("gitml a_b/train", "f" * 40)
    assert mark == f'![](https://cml.dev/watermark.png#{"f" * 40} "CML watermark gitml a\\_b/train")'
    there = [Comment(n, mark if n in (3, 31) else "x", "eve", "", "", "") for n in range(40)]
    assert cml.picked(OnPull(1), there[:30], "gitml a_b/train") == there[3]
    assert cml.picked(OnPull(1), there, "gitml a_b/train") == there[3]
    assert cml.picked(OnCommit("f" * 40), there, "gitml a_b/train") == there[31]
    assert cml.picked(OnPull(1), there, "other") is None
    assert posting.MAX_BODY == 65_536
