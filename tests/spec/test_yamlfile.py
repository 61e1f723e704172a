from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitml.errors import Problem, SpecError
from gitml.spec.yamlfile import MAX_BYTES, parse, read


def refused(text: str | bytes) -> list[tuple[int, str, str]]:
    """Line, key and message of each problem."""
    with pytest.raises(SpecError) as caught:
        parse(text.encode() if isinstance(text, str) else text, "f.yaml")
    assert all(p.file == "f.yaml" for p in caught.value.problems)
    return [(p.line, p.key, p.message) for p in caught.value.problems]


def attempt(content: bytes) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    try:
        return parse(content, "f.yaml").data, ()
    except SpecError as exc:
        return {}, exc.problems


def test_every_key_and_item_has_its_line() -> None:
    document = parse(b"# head\na:\n  b: 1\n  c:\n    - x\n    - {d: 2,\n       e: 3}\n", "f.yaml")
    assert document.data == {"a": {"b": 1, "c": ["x", {"d": 2, "e": 3}]}}
    assert document.lines[("a", "b")] == 3
    assert document.lines[("a", "c", 1)] == 6
    assert document.lines[("a", "c", 1, "e")] == 7
    assert document.line(("a", "nothing", "here")) == 2
    assert document.line(("z",)) == 0


@pytest.mark.parametrize(
    ("text", "line", "key", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "a", "duplicate key, first on line 1"),
        ("x:\n  deep: {k: 1, k: 2}\n", 2, "x.deep.k", "duplicate key, first on line 2"),
        ("a: 1\n1: x\n", 2, "", "a key must be text, but is '1'"),
        ("a:\n  true: x\n", 2, "a", "a key must be text, but is 'true'"),
        ("? [a]\n: x\n", 1, "", "a key must be text, but is a list"),
        ("a: .nan\n", 1, "a", ".nan is not a finite number"),
        ("a:\n- -.inf\n", 2, "a[0]", "-.inf is not a finite number"),
        ("a: 1e999\n", 1, "a", "1e999 is not a finite number"),
        ("a: !!python/object:os.system x\n", 1, "a", "is not supported"),
        ("a: !mine x\n", 1, "a", "the tag !mine is not supported"),
        ("a:\n\tb: 1\n", 2, "", "a tab where YAML wants spaces"),
        ("a: [1, 2\n", 2, "", "not YAML"),
        ("a: b: c\n", 1, "", "not YAML"),
        ("a: *unknown\n", 1, "", "not YAML"),
        ("a: 1\n---\nb: 2\n", 2, "", "a second document starts here"),
        ("- a\n", 1, "", "must be a mapping of keys to values, but is a list"),
        ("# c\nword\n", 2, "", "but is one value"),
        ("", 0, "", "the file is empty"),
        ("# only this\n", 0, "", "the file is empty"),
        ("a: " + "9" * 5000 + "\n", 1, "a", "is no number that can be read"),
        ("a: 1\n<<<<<<< HEAD\nb: 2\n=======\nb: 3\n>>>>>>> other\n", 2, "", "an unfinished merge"),
        ("a: " + "[" * 200 + "]" * 200 + "\n", 1, "", "nested more than"),
        ('a: "\\ud800"\n', 1, "a", "holds half a character"),
        ('a: 1\n"\\ud800": 1\n', 2, "", "a key must be text"),
        ("a: &x [*x]\n", 1, "", "aliases make this file too large"),
        ("a: &x {<<: *x}\n", 1, "", "aliases make this file too large"),
        ("a: {<<: 5}\n", 1, "a", "'<<' must name a mapping"),
    ],
)
def test_odd_yaml_is_refused_with_its_line(text: str, line: int, key: str, words: str) -> None:
    found = refused(text)
    assert [(where, name) for where, name, said in found if words in said] == [(line, key)], found


def test_bytes_that_are_not_utf8_are_refused_with_their_line() -> None:
    assert refused(b"a: 1\nb: \xff\n") == [(2, "", "byte 0xff is not UTF-8")]


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert parse(b"\xef\xbb\xbfa: 1\n", "f.yaml").data == {"a": 1}


def test_many_problems_come_at_once() -> None:
    assert [line for line, _, _ in refused("a: 1\na: 2\nb: .nan\n3: c\n")] == [2, 3, 4]


def test_billion_laughs_end_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert refused("\n".join(lines))[-1][2] == "aliases make this file too large"


def test_merged_billion_laughs_end_at_once() -> None:
    lines = ["a0: &a0 {k: v}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 12)]
    assert refused("\n".join(lines))[-1][2] == "aliases make this file too large"


def test_merge_keys_give_way_to_own_keys() -> None:
    text = b"base: &b {x: 1, y: 2}\nown: {<<: *b, y: 3}\n"
    assert parse(text, "f.yaml").data["own"] == {"y": 3, "x": 1}


def test_yaml_1_2_words_and_numbers() -> None:
    text = b"a: yes\nb: on\nc: true\nd: 0x1f\ne: 0o17\nf: 010\ng: 1_000\nh: ~\ni: 2026-01-31\nj: 1.5e3\nk: -0b11\n"
    values = {"a": "yes", "b": "on", "c": True, "d": 31, "e": 15, "f": 10, "g": 1000, "h": None}
    assert parse(text, "f.yaml").data == {**values, "i": "2026-01-31", "j": 1500.0, "k": -3}


def test_missing_unreadable_and_huge_files(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="the file is missing"):
        read(tmp_path / "none.yaml", "none.yaml")
    with pytest.raises(SpecError, match="is no regular file"):
        read(tmp_path, "folder")
    (tmp_path / "endless.yaml").symlink_to("/dev/zero")
    with pytest.raises(SpecError, match="is no regular file"):
        read(tmp_path / "endless.yaml", "endless.yaml")
    with (tmp_path / "huge.yaml").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(SpecError, match="larger than 16 MB"):
        read(tmp_path / "huge.yaml", "huge.yaml")


yamlish = st.text(alphabet=st.sampled_from("ab01:- \n\t#[]{},'\"&*!|>%@`?<=~.\\\x00\x85é\U0001f600"), max_size=60)


@given(st.one_of(st.binary(max_size=80), st.text(max_size=80).map(lambda t: t.encode("utf-8", "surrogatepass"))))
@example(b'a: "\\UFFFFFFFF"')
@example(b"%YAML 9.9\n--- \na: 1\n")
@example(b"%TAG ! x")
def test_no_bytes_do_more_than_a_problem(content: bytes) -> None:
    try:
        data = parse(content, "f.yaml").data
    except SpecError as exc:
        problems = exc.problems
    else:
        assert isinstance(data, dict)
        str(data).encode()
        return
    assert problems


@given(yamlish)
def test_no_yaml_like_text_does_more_than_a_problem(text: str) -> None:
    _, problems = attempt(text.encode())
    lines = len(text.splitlines()) + 1
    assert all(0 <= p.line <= lines for p in problems)


words = st.text(alphabet=string.ascii_letters + " _é-", min_size=1, max_size=12)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=12
)


@given(st.dictionaries(words, trees, min_size=1, max_size=4))
def test_what_json_writes_is_read_back(data: dict[str, Any]) -> None:
    assert parse(json.dumps(data).encode(), "f.yaml").data == data
