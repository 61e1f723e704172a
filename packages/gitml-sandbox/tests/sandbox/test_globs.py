"""The filter patterns of GitHub's cheat sheet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml_sandbox.forge import globs


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("feature/*", ["feature/a"], ["feature/a/b", "feature"]),
        ("feature/**", ["feature/a", "feature/a/b"], ["feature"]),
        ("main", ["main"], ["main2", "x/main"]),
        ("*", ["main"], ["a/b"]),
        ("**", ["main", "a/b/c"], []),
        ("*feature", ["my-feature", "feature"], ["a/feature"]),
        ("v2*", ["v2", "v2.0"], ["v1"]),
        ("v[12].[0-9]+.[0-9]+", ["v1.10.1", "v2.0.0"], ["v3.0.0", "v1.x.0"]),
        ("*.jsx?", ["page.js", "page.jsx"], ["page.ts"]),
        ("**.js", ["index.js", "src/js/app.js"], ["a.jsx"]),
        ("docs/*", ["docs/README.md"], ["docs/a/b.md"]),
        ("docs/**/*.md", ["docs/README.md", "docs/a/b.md"], ["README.md"]),
        ("**/docs/**", ["docs/hello.md", "a/docs/b.md"], ["docs"]),
        ("**/README.md", ["README.md", "js/README.md"], ["README.mdx"]),
        ("**/migrate-*.sql", ["migrate-1.sql", "db/migrate-2.sql"], ["x-migrate-1.sql"]),
        (r"a\*b", ["a*b"], ["axb"]),
        ("[CB]at", ["Cat", "Bat"], ["cat"]),
        ("[z-a]", ["[z-a]"], ["z"]),
        ("a.b", ["a.b"], ["axb"]),
    ],
)
def test_patterns(pattern: str, yes: list[str], no: list[str]) -> None:
    assert [n for n in yes if not globs.selected(n, [pattern])] == []
    assert [n for n in no if globs.selected(n, [pattern])] == []


def test_the_order_of_negative_patterns_matters() -> None:
    assert globs.selected("releases/10", ["releases/**", "!releases/**-alpha"])
    assert not globs.selected("releases/10-alpha", ["releases/**", "!releases/**-alpha"])
    assert globs.selected("releases/10-alpha", ["!releases/**-alpha", "releases/**"])


def test_paths_ask_for_one_and_ignored_paths_for_one_that_is_left() -> None:
    assert globs.any_selected(["a.md", "b.py"], ["**.py"])
    assert not globs.any_selected(["a.md"], ["**.py"])
    assert globs.any_left(["a.md", "b.py"], ["**.md"])
    assert not globs.any_left(["a.md"], ["**.md"])


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_pattern_is_an_error(pattern: str, name: str) -> None:
    assert globs.selected(name, [pattern]) in {True, False}
