"""Hostile text: shown as it is, and nothing happens."""

from __future__ import annotations

import html

import cmarkgfm
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml.reports.escape import GAP, block, code, html_code, image, is_plain_url, link, prose, row, visible
from reports.reading_kit import FORGED, read, read_as_github
from reports.report_kit import hostile

HEAD = "| a | b |\n| --- | --- |\n"


def plain(markdown: str) -> str:
    """The text that a browser shows of one line."""
    rendered = cmarkgfm.github_flavored_markdown_to_html(markdown)
    return html.unescape(rendered.removeprefix("<p>").removesuffix("</p>\n")).replace(GAP, "")


@given(hostile)
def test_a_name_in_a_table_is_shown_as_it_is(text: str) -> None:
    source = HEAD + row([code(text, 10_000), "x"])
    found = read(source)
    assert found.tables == [[2, 2]]
    assert (found.foreign, found.links, found.pictures) == ([], [], [])
    github = read_as_github(source)
    assert github.tables == [[2, 2]]
    assert github.tags <= {"table", "thead", "tbody", "tr", "th", "td", "code"}


@given(hostile)
def test_a_sentence_in_a_table_or_list_makes_nothing(text: str) -> None:
    for source, tags in (
        (HEAD + row([prose(text), "x"]), {"table", "thead", "tbody", "tr", "th", "td"}),
        (f"- {prose(text)}\n- x", {"ul", "li"}),
        (f"**{prose(text)}.**\n", {"p", "strong"}),
    ):
        github = read_as_github(source)
        assert github.tags <= tags
        assert all(cells == 2 for table in github.tables for cells in table)
        found = read(source)
        assert (found.foreign, found.links, found.pictures) == ([], [], [])
        assert not any(FORGED.search(piece) for piece in found.text)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=80))
def test_ascii_comes_through_a_sentence_unchanged(text: str) -> None:
    assert plain(prose("x" + text)) == "x" + text


@given(hostile)
def test_a_block_holds_its_text(text: str) -> None:
    source = f"before\n\n{block(text)}\n\nafter"
    found = read(source)
    assert len(found.blocks) == 1
    assert (found.foreign, found.headings, found.quotes) == ([], 0, 0)
    assert found.text == ["before", "after"]


@given(hostile)
def test_nothing_unseen_is_left(text: str) -> None:
    for shown in (code(text), prose(text), block(text), visible(text), html_code(text)):
        assert "<!--" not in shown or shown == visible(text)
        assert not set(shown) & set("\x00\x0b\x1b\x85\u2028\u202e\u2066\ufeff\U000e0041\r")
        assert all(c.isprintable() or c in f"\n{GAP}\u200d\u200c" for c in shown)


@given(hostile)
def test_html_of_ours_holds_names(text: str) -> None:
    source = f"<details>\n<summary>{html_code(text)}</summary>\n\nx\n\n</details>"
    assert read(source).foreign == []
    assert read_as_github(source).tags <= {"details", "summary", "code", "p"}


@pytest.mark.parametrize(
    "text",
    ["@octocat", "see #12", "GH-1", "o/r#7", "o/r@deadbeef", "deadbeef1", "a" * 40, "JIRA-12", "https://x.example",
     "HTTP://X.example", "www.x.example", "me@x.example", "mailto:me@x.example", "xmpp:a@b.example", "a @b/c-d e"],
)  # fmt: skip
def test_what_github_links_is_parted_by_an_invisible_space(text: str) -> None:
    shown = prose(text)
    assert GAP in shown
    assert not FORGED.search(shown)
    assert read_as_github(shown).links == []
    assert plain(shown) == text


def test_combined_emoji_and_scripts_stay() -> None:
    assert visible("👩‍💻 日本 é می‌خواهم") == "👩‍💻 日本 é می‌خواهم"
    assert visible("pass\u200dword") == "pass\ufffdword"
    assert visible("a" + "\u0301" * 50).count("\u0301") == 4


def test_empty_names_are_named() -> None:
    assert code(" \n") == "(empty)"
    assert html_code("") == "<code>(empty)</code>"


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://github.com/o/r/commit/abc", True),
        ("http://127.0.0.1:8080/o/r/raw/gitml-assets/a_b/c.png", True),
        ("https://x.example/a?b=c&d=%20", True),
        ("https://x.example/a) [b](c", False),
        ("https://x.example/a b", False),
        ("https://me:secret@x.example/a", False),
        ("https://x.example@evil.example/", False),
        ("javascript:alert(1)", False),
        ("//x.example/a", False),
        ("https://x.example/\n", False),
        ("https://x.example/<b>", False),
        ("", False),
    ],
)
def test_only_plain_addresses_become_links(url: str, good: bool) -> None:
    assert is_plain_url(url) is good
    assert link("a", url) == (f"[a]({url})" if good else "a")
    assert bool(image("a", url)) is good
