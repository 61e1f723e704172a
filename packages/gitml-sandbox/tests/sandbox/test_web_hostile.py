"""Markdown, names, messages and logs by somebody who wants the page to do something else."""

from __future__ import annotations

import os
import re
import subprocess
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml_sandbox.web import code as web_code
from gitml_sandbox.web import diff as web_diff
from gitml_sandbox.web import words as web_words
from gitml_sandbox.web.markdown import ATTRIBUTES, PLACEHOLDER, TAGS, Place, link, picture, render
from sandbox.forge_kit import IDENTITY, Kit, commit, git
from sandbox.web_kit import api, browser, pull

PLACE = Place(
    home="/ada/demo",
    ref="main",
    folder="docs",
    hosts=("http://127.0.0.1:8471", "http://localhost:8471"),
    is_user=lambda login: login == "olga",
)
ATTACKS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt&#58;alert(1))",
    "[x](java\tscript:alert(1))",
    "<a href=' javascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='vbscript:x'>x</a>",
    "![x](https://evil.example/pixel.png)",
    "![x](//evil.example/pixel.png)",
    "![x](/\\evil.example/pixel.png)",
    "![x](http:///evil.example/raw/a/b.png)",
    "![x](http://127.0.0.1:8471@evil.example/a/b/raw/x.png)",
    "![x](/logout)",
    "![x](/ada/demo/raw/main/../../../login)",
    "![x](../../../../x.png)",
    "<img src='http://[::1' alt=x>",
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<style>body{display:none}</style>",
    "<p style='position:fixed;inset:0'>x</p>",
    "<form action='https://evil.example'><input name=csrf><button>Merge</button></form>",
    "<iframe src='https://evil.example'></iframe><object data=x></object><embed src=x>",
    "<base href='https://evil.example'><meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<details ontoggle=alert(1) open><summary>x</summary></details>",
    "<a id='main' name='merge' class='primary' target=_top href='/x'>x</a>",
    "</main></body><h1>you have been logged out</h1>",
    "```html\n<script>alert(1)</script>\n```",
    '"><img src=x onerror=alert(1)>',
    "| <img src=x onerror=alert(1)> | b |\n|--|--|\n| [x](javascript:1) | b |",
    '<https://evil.example/"onmouseover=alert(1)>',
    "@olga\" onmouseover=alert(1) #1'><b>",
    "\x00\x1b[31m\u202egnp.exe",
)


class Strict(HTMLParser):
    """Fails on everything that could run, load or send anything elsewhere."""

    def __init__(self, *, fragment: bool) -> None:
        super().__init__()
        self.fragment = fragment
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert tag not in ("script", "iframe", "object", "embed", "base", "style", "math", "foreignobject"), tag
        if self.fragment:
            assert tag in TAGS, tag
        for name, value in attrs:
            assert not name.startswith("on"), name
            assert name not in ("style", "srcset", "srcdoc", "formaction"), name
            if self.fragment and (tag, name) not in (
                ("div", "class"),
                ("div", "tabindex"),
                ("div", "role"),
                ("div", "aria-label"),
            ):
                assert name in {*ATTRIBUTES.get(tag, ()), "rel"}, (tag, name)
            if name in ("href", "src", "action"):
                self.check_address(tag, value or "")

    def check_address(self, tag: str, value: str) -> None:
        plain = re.sub(r"[\s\x00-\x20]", "", value).lower()
        assert not plain.startswith(("javascript:", "data:", "vbscript:", "//", "/\\"))
        if tag in ("img", "form", "link"):
            assert plain.startswith("/"), value
        if tag == "img":
            assert re.fullmatch(r"/static/[\w.-]+|/avatars/[^/]+|/[^/]+/[^/]+/raw/.+", value), value


def check(html: str, *, fragment: bool = True) -> list[str]:
    page = Strict(fragment=fragment)
    page.feed(html)
    page.close()
    return page.tags


@pytest.mark.parametrize("text", ATTACKS)
def test_markdown_that_attacks(text: str) -> None:
    check(str(render(text, PLACE)))


@given(
    st.lists(st.one_of(st.sampled_from(ATTACKS), st.text(max_size=40)), max_size=5), st.sampled_from(["", "\n\n", " "])
)
def test_any_mix_of_markdown(parts: list[str], glue: str) -> None:
    check(str(render(glue.join(parts), PLACE)))


def test_deep_nesting_and_long_texts_end() -> None:
    begun = time.process_time()
    for text in (
        "> " * 5_000 + "x",
        "[" * 65_000,
        "![" * 32_000,
        "*a_ " * 20_000,
        "<div>" * 5_000,
        "- " * 3_000,
        "x" * 500_000,
    ):
        check(str(render(text, PLACE)))
    assert time.process_time() - begun < 20


def test_pictures_come_from_repositories_here_alone() -> None:
    own = "/ada/demo/raw/gitml-assets/a%20b.png"
    assert picture("http://127.0.0.1:8471/ada/demo/raw/gitml-assets/a%20b.png", PLACE) == own
    assert picture("http://localhost:8471/ada/demo/blob/gitml-assets/a b.png".replace(" ", "%20"), PLACE) == own
    assert picture("../x.png", PLACE) == "/ada/demo/raw/main/x.png"
    assert picture("img/x.png", PLACE) == "/ada/demo/raw/main/docs/img/x.png"
    for other in ("https://127.0.0.1:8471/ada/demo/raw/m/a.png", "http://127.0.0.1:9/ada/demo/raw/m/a.png", "/x.png"):
        assert picture(other, PLACE) is None
    assert f'src="{PLACEHOLDER}"' in render("![x](https://evil.example/a.png)", PLACE)


def test_links_stay_links() -> None:
    assert link("other.md", PLACE) == "/ada/demo/blob/main/docs/other.md"
    assert link("#part", PLACE) == "#part"
    assert link("../../x", PLACE) is None
    html = render("[a](https://example.org) @olga @nobody #12 `@olga #1` [@olga](x.md) a@olga.example", PLACE)
    assert 'rel="nofollow noopener noreferrer"' in html
    assert html.count('href="/olga"') == 1
    assert html.count('href="/ada/demo/issues/12"') == 1
    assert "nobody</a>" not in html


def test_tables_lists_and_quotes_look_right() -> None:
    html = render("| a | b |\n|--:|:-:|\n| 1 | ~~2~~ |\n\n- [x] done\n- [ ] not\n", PLACE)
    assert '<td align="right">1</td>' in html
    assert '<td align="center"><s>2</s></td>' in html
    assert "<li>☑ done</li>" in html
    assert "<li>☐ not</li>" in html


def test_terminal_sequences_become_colours_or_nothing() -> None:
    assert web_code.ansi("\x1b[1;31mred\x1b[0m plain") == '<span class="t-bold t-1">red</span> plain'
    assert web_code.ansi("\x1b]0;title\x07\x1b[2J\x1b[999;999H<b>") == "&lt;b&gt;"
    assert web_code.ansi("10%\r100%\r") == "100%"
    assert web_code.ansi("\x1b[31") == "31"
    assert web_code.ansi("a\u202eb\x08\x00") == "ab"
    assert web_code.log_line("2026-01-01T00:00:00Z ##[error]<i>x") == ("2026-01-01T00:00:00Z", "error", "&lt;i&gt;x")


@given(st.text(alphabet=st.sampled_from("\x1b[]0;1m3\r<>&\"'\x07\u202eaH?"), max_size=60))
def test_any_log_line(text: str) -> None:
    html = str(web_code.ansi(text))
    assert "\x1b" not in html
    assert set(check(html, fragment=False)) <= {"span"}


@given(st.text(max_size=200), st.sampled_from(["a.py", "a.html", "a.yaml", "a.unknown", "Makefile", "a.json"]))
def test_any_source(text: str, name: str) -> None:
    lines = web_code.lines(text, name)
    for line in lines:
        assert set(check(str(line), fragment=False)) <= {"span"}
    kept = web_words.visible(text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n"))
    assert len(lines) == kept.count("\n") + 1


@given(st.text(max_size=300))
def test_any_patch(patch: str) -> None:
    web_diff.parse(patch)


NAMES = (
    "<img src=x onerror=alert(1)>.md",
    "a\"b'c&d.txt",
    "new\nline.txt",
    "per%2fcent%00.txt",
    "gnp\u202etxt.exe",
    "#hash?query.txt",
    "-rf.txt",
)
BRANCH = "<script>alert('1')</script>&\"quoted\""


def test_names_and_messages_that_attack(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    home = f"/{repo.full_name}"
    folder = clone / "<b>dir"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_text("<script>alert(1)</script>\n")
    (Path(os.fsencode(folder).decode(errors="surrogateescape")) / "latin-\udce9.txt").write_text("é\n")
    git(clone, "add", ".")
    git(clone, "commit", "-q", "-m", "<script>alert(1)</script>\n\n<img src=x onerror=alert(1)> @olga #1")
    env = {**os.environ, **IDENTITY, "GIT_AUTHOR_NAME": "<b>Eve</b>", "GIT_COMMITTER_NAME": "<i>Eve</i>"}
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "by whom"], cwd=clone, env=env, check=True)
    sha = git(clone, "rev-parse", "HEAD").strip()
    git(clone, "push", "-q", "origin", "HEAD:main", f"HEAD:refs/heads/{BRANCH}")
    git(clone, "fetch", "-q", "origin")
    me = browser(kit, "ada")
    listing = me.get(f"{home}/tree/main/%3Cb%3Edir")
    links = re.findall(rf'href="({home}/blob/main/[^"]+)"', listing)
    assert len(links) == len(NAMES) + 1
    for address in links:
        if "%0A" in address:  # as in the API, a name with a line end cannot be asked for
            assert me.client.get(address).status_code == 404
            continue
        check(me.get(address), fragment=False)
        assert me.client.get(address.replace("/blob/", "/raw/")).text in ("<script>alert(1)</script>\n", "é\n")
    pages = ["", "/branches", "/commits", f"/commit/{sha}", "/compare", "/tree/" + web_words.url(BRANCH)]
    for page in pages:
        check(me.get(home + page), fragment=False)
    assert "\u202e" not in listing


def test_texts_of_a_pull_request_that_attack(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    number = pull(kit, repo, clone, body="\n\n".join(ATTACKS).replace("\x00", ""))
    one = f"/repos/{repo.full_name}/pulls/{number}"
    sha = git(clone, "rev-parse", "HEAD").strip()
    bad = '"><script>alert(1)</script>'
    api(kit, "ada", "PATCH", one, {"title": bad})
    api(
        kit,
        "eve",
        "POST",
        f"/repos/{repo.full_name}/issues/{number}/comments",
        {"body": "\n\n".join(ATTACKS[:20])},
        201,
    )
    note = {"path": "work.txt", "line": 1, "body": bad}
    api(kit, "olga", "POST", f"{one}/reviews", {"event": "COMMENT", "body": bad, "comments": [note]})
    api(kit, "ada", "POST", f"/repos/{repo.full_name}/issues/{number}/labels", {"labels": [bad]})
    status = {"state": "failure", "context": bad, "description": bad, "target_url": 'https://evil.example/"onclick=x'}
    api(kit, "olga", "POST", f"/repos/{repo.full_name}/statuses/{sha}", status, 201)
    home = f"/{repo.full_name}/pull/{number}"
    for login in (None, "ada"):
        me = browser(kit, login)
        for page in (home, f"{home}/files", f"{home}/checks", f"{home}/commits", f"/{repo.full_name}/pulls"):
            check(me.get(page), fragment=False)
    typed = browser(kit, "ada").post(home, {"do": "review", "event": "APPROVE", "body": bad, "commit_id": sha})
    assert typed.status_code == 422
    check(typed.text, fragment=False)
    odd = browser(kit, "ada").get(f"{home}/files?path={bad}&side=RIGHT&line=1&file={bad}")
    check(odd, fragment=False)


def test_an_image_in_a_login_page_stays_away(kit: Kit, tmp_path: Path) -> None:
    """A picture of a private repository is asked for with the visitor's own rights."""
    secret, clone = kit.seeded(tmp_path / "a", private=True)
    commit(clone, "x.png", "no picture")
    git(clone, "push", "-q", "origin", "HEAD:main")
    assert browser(kit, "eve").client.get(f"/{secret.full_name}/raw/main/x.png").status_code == 404
    assert browser(kit, "olga").client.get(f"/{secret.full_name}/raw/main/x.png").status_code == 200
