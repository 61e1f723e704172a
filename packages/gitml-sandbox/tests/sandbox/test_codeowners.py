from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml_sandbox.forge import codeowners
from gitml_sandbox.forge.codeowners import compiled, parse

# Pattern, paths that it owns, paths that it does not: the examples of GitHub's page first.
CASES = [
    ("*", ["a", "a/b/c.txt", ".github/x"], []),
    ("*.js", ["a.js", "src/a.js"], ["a.jsx", "a.ts"]),
    ("/build/logs/", ["build/logs/a", "build/logs/b/c"], ["build/logs", "x/build/logs/a"]),
    ("docs/*", ["docs/getting-started.md"], ["docs/build-app/troubleshooting.md", "x/docs/a"]),
    ("apps/", ["apps/a", "x/apps/a/b"], ["apps", "myapps/a"]),
    ("/docs/", ["docs/a", "docs/a/b"], ["x/docs/a"]),
    ("/scripts/", ["scripts/a"], ["x/scripts/a"]),
    ("**/logs", ["logs/a", "build/logs", "deeply/nested/logs/x/y"], ["logs2/a"]),
    ("/apps/github", ["apps/github", "apps/github/a"], ["apps/github2"]),
    (
        "/models/*/production.yaml",
        ["models/delay/production.yaml"],
        ["models/a/b/production.yaml", "models/production.yaml"],
    ),
    (
        "/models/**/production.yaml",
        ["models/delay/production.yaml", "models/a/b/production.yaml", "models/production.yaml"],
        [],
    ),
    ("policy.yaml", ["policy.yaml", "x/policy.yaml"], ["policy.yaml.bak", "xpolicy.yaml"]),
    ("a?c", ["abc", "x/abc"], ["ac", "a/c", "abbc"]),
    ("my\\ file.txt", ["my file.txt"], ["my", "file.txt"]),
    ("/.github/**", [".github/workflows/ci.yml"], [".github"]),
]


@pytest.mark.parametrize(("pattern", "owned", "not_owned"), CASES, ids=[c[0] for c in CASES])
def test_patterns(pattern: str, owned: list[str], not_owned: list[str]) -> None:
    match = compiled(pattern).fullmatch
    assert [p for p in owned if not match(p)] == []
    assert [p for p in not_owned if match(p)] == []


def test_the_last_line_wins_and_may_name_nobody() -> None:
    found = parse("* @ada\n/models/ @ops @acme/risk # approves\n/models/README.md\n")
    assert found.owners("src/x.py") == ("@ada",)
    assert found.owners("models/delay.yaml") == ("@ops", "@acme/risk")
    assert found.owners("models/README.md") == ()
    assert codeowners.owned(found, ["a", "b", "models/README.md"]) == {("@ada",): ["a", "b"]}


def test_mistakes_are_named_and_left_out() -> None:
    found = parse("***/*.rb @monalisa\n*.txt docs@\n!x @ada\n[ab].c @ada\n* @ada\n", ".github/CODEOWNERS")
    first, second, third, fourth = found.mistakes
    assert (first.line, first.column, first.kind) == (1, 1, "Invalid pattern")
    assert first.suggestion == "Did you mean **/*.rb?"
    assert (second.line, second.column, second.kind) == (2, 7, "Invalid owner")
    assert second.message == "Invalid owner on line 2:\n\n  *.txt docs@\n        ^"
    assert [third.kind, fourth.kind] == ["Invalid pattern"] * 2
    # The broken owner still takes *.txt away from `*` above it: here `*` comes later and wins.
    assert found.owners("a.txt") == ("@ada",)
    assert parse("* @ada\n*.txt docs@\n").owners("a.txt") == ()


def test_unknown_owners() -> None:
    text = "* @ada @nobody\n"
    found = codeowners.with_unknown(parse(text), text, lambda word: word == "@ada")
    assert [(m.kind, m.column) for m in found.mistakes] == [("Unknown owner", 8)]


words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=200)
names = st.text("abcXYZ019._-é ", min_size=1, max_size=8).filter(lambda n: n.strip() and n not in (".", ".."))
paths = st.lists(names, min_size=1, max_size=4).map("/".join)


@given(words, paths)
def test_any_text_is_read(text: str, path: str) -> None:
    found = parse(text)
    assert all(r.line >= 1 for r in found.rules)
    assert isinstance(found.owners(path), tuple)


@given(paths)
def test_a_path_written_out_owns_itself_and_what_is_below(path: str) -> None:
    pattern = "/" + path.replace(" ", "\\ ")
    found = parse(f"{pattern} @ada\n")
    if path.rstrip() == path:
        assert found.owners(path) == ("@ada",)
        assert found.owners(f"{path}/below") == ("@ada",)
    assert found.owners(f"above/{path}") == ()


@given(
    st.lists(st.tuples(st.sampled_from([c[0] for c in CASES]), st.sampled_from(["@a", "@b", ""])), max_size=8), paths
)
def test_only_the_last_match_counts(lines: list[tuple[str, str]], path: str) -> None:
    found = parse("\n".join(f"{p} {o}" for p, o in lines))
    matching = [o for p, o in lines if compiled(p).fullmatch(path)]
    expected = (matching[-1],) if matching and matching[-1] else ()
    assert found.owners(path) == expected
