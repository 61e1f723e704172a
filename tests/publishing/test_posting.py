"""CML beside gitml: a small program on PATH stands in for it and posts through the API the way CML 0.20.6 does."""

import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.publishing import Desk, as_person, desk, failed
from forges.fixtures import many_comments
from gitml.forges import cml
from gitml.forges.base import Comment, OnCommit, OnPull
from gitml.forges.github import Settings
from gitml.publishing import posting
from gitml.sandbox.serve import Options, serving
from sandbox.forge_kit import Kit, people
from sandbox.rest_kit import close_clients

pytestmark = pytest.mark.slow
STAND_IN = r"""#!PYTHON
import json, os, re, sys, time, urllib.request

here = os.path.dirname(os.path.abspath(__file__))
mode = open(os.path.join(here, "mode")).read()
if sys.argv[1:] == ["--version"]:
    if mode == "hangs early":
        time.sleep(60)
    print("0.19.1" if mode == "old" else "0.20.6")
    sys.exit()
with open(os.path.join(here, "calls"), "a") as log:
    log.write(json.dumps({"argv": sys.argv[1:], "env": dict(os.environ)}) + "\n")
options = dict(w[2:].split("=", 1) for w in sys.argv[3:] if w.startswith("--") and "=" in w)
token = os.environ["REPO_TOKEN"]
if mode == "fails":
    print("HttpError: Bad credentials for " + token, file=sys.stderr)
    sys.exit(1)
if mode == "lies":
    print("https://example.org/nothing")
    sys.exit()
host, repo = re.fullmatch(r"https://([^/]+)/(.+)", options["repo"]).groups()
kind, number = options["target"].split("/")
base = f"https://{host}/api/v3/repos/{repo}"

def call(method, path, body=None):
    data = json.dumps(body).encode() if body else None
    headers = {"Authorization": "token " + token, "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(base + path, data, headers, method=method)) as answer:
        return json.load(answer)

title = "CML watermark " + options["watermark-title"]
for char in "_*[<":
    title = title.replace(char, "\\" + char)
mark = f'![](https://cml.dev/watermark.png#{os.environ["GITHUB_SHA"]} "{title}")'
known = re.compile(r'!\[\]\(https://cml\.dev/watermark\.png#[0-9a-fA-F]+ "' + re.escape(title) + r'"\)')
report = open(sys.argv[-1]).read() + "\n\n" + mark
all_ = f"/issues/{number}/comments" if kind == "pr" else f"/commits/{number}/comments"
one = "/issues/comments/" if kind == "pr" else "/comments/"
found = [c for c in reversed(call("GET", all_)) if known.search(c["body"])]
if found:
    done = call("PATCH", one + str(found[0]["id"]), {"body": report})
else:
    done = call("POST", all_, {"body": report})
if mode == "hangs":
    time.sleep(60)
print(done["html_url"])
"""


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


@pytest.fixture
def bench(kit: Kit, tmp_path: Path) -> Desk:
    """A pull request, and the stand-in on PATH."""
    program = tmp_path / "bin" / "cml"
    program.parent.mkdir()
    program.write_text(STAND_IN.replace("PYTHON", sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    d = desk(kit, tmp_path)
    d.env["PATH"] = f"{program.parent}:/usr/bin:/bin"
    mode(d, "good")
    return d


def mode(d: Desk, word: str) -> None:
    (d.folder / "bin" / "mode").write_text(word)


def calls(d: Desk) -> list[str]:
    log = d.folder / "bin" / "calls"
    return log.read_text().splitlines() if log.exists() else []


def test_cml_posts_and_updates(bench: Desk) -> None:
    first = bench.run(publisher="auto")
    second = bench.run(bench.report(failed()), run=2, publisher="auto")
    assert (first.how, first.by, second.how, second.by) == ("posted", "cml", "updated", "cml")
    (comment,) = bench.comments()
    assert "boom" in comment["body"]
    assert comment["body"].endswith(f'![](https://cml.dev/watermark.png#{bench.head} "CML watermark gitml toy/train")')
    assert bench.said.count("the report was posted by cml") == 2
    argv = calls(bench)[0].split('"env"')[0]
    for words in ('"comment", "create"', f"--target=pr/{bench.number}", "--update", "--publish=false"):
        assert words in argv
    assert bench.token not in argv
    assert '"ITERATIVE_DO_NOT_TRACK": "1"' in calls(bench)[0]
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
    assert "round 3" in comment["body"]
    assert comment["body"].count("CML watermark") == 1


def test_nothing_to_write_calls_nobody(bench: Desk) -> None:
    bench.run(publisher="cml")
    bench.run(publisher="cml")
    assert len(calls(bench)) == 1


@pytest.mark.parametrize(
    ("word", "why"), [("fails", "exit code 1: HttpError"), ("old", "version '0.19.1', known here is 0.20.6")]
)
def test_when_cml_cannot_gitml_posts(bench: Desk, word: str, why: str) -> None:
    mode(bench, word)
    done = bench.run(publisher="cml")
    assert (done.how, done.by) == ("posted", "gitml")
    assert len(bench.comments()) == 1
    assert any(line.startswith("cml is not used:") and why in line for line in bench.said)
    assert all(bench.token not in line for line in bench.said)


@pytest.mark.parametrize("word", ["hangs", "hangs early"])
def test_cml_that_hangs(bench: Desk, word: str) -> None:
    bench.cml_seconds = 2
    mode(bench, word)
    assert bench.run(publisher="auto").url
    assert len(bench.comments()) == 1
    assert any("did not end within 2 s" in line for line in bench.said)


def test_cml_that_says_it_posted_and_did_not(bench: Desk) -> None:
    mode(bench, "lies")
    done = bench.run(publisher="auto")
    assert (done.how, done.by) == ("posted", "gitml")
    assert len(bench.comments()) == 1


def test_without_cml(bench: Desk) -> None:
    bench.env["PATH"] = "/usr/bin:/bin"
    assert bench.run(publisher="auto").by == "gitml"
    assert any("there is no cml on PATH" in line for line in bench.said)


def test_cml_is_not_asked_when_gitml_is_wanted(bench: Desk) -> None:
    assert bench.run(publisher="gitml").by == "gitml"
    assert calls(bench) == []


def test_a_forged_watermark_keeps_cml_away(bench: Desk) -> None:
    mark = cml.watermark("gitml toy/train", "a" * 40)
    as_person(bench, "eve").post(f"issues/{bench.number}/comments", body=f"mine {mark}")
    assert bench.run(publisher="auto").by == "gitml"
    assert any("it would change a comment by eve" in line for line in bench.said)
    assert bench.run(bench.report(failed()), run=2, publisher="auto").by == "gitml"
    assert len(bench.comments()) == 1
    assert calls(bench) == []


def test_pages_that_cml_does_not_read(bench: Desk) -> None:
    many_comments(bench.kit, bench.ada.repo, bench.number, 35)
    bench.run(publisher="gitml")
    assert bench.run(bench.report(failed()), run=2, publisher="auto").by == "gitml"
    assert any("on a page that cml does not read" in line for line in bench.said)
    assert len(bench.comments()) == 1
    assert calls(bench) == []


def test_another_api_than_cml_would_call(bench: Desk) -> None:
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
