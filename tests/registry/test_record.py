"""Version records: what goes in comes out, and an edit is seen."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml.dvc.lockentries import Content, Entry
from gitml.errors import RefError, SpecError
from gitml.git.tree import WorkTree
from gitml.refs import parse
from gitml.registry import Record, find, lineage_digest, parse_record, read_record, resolve, write_record
from gitml.registry.record import Metric, name_of
from gitml.registry.store import next_time
from gitml.stats.refits import Refits

names = st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,20}[a-z0-9])?", fullmatch=True)
paths = st.lists(st.text("abcü ", min_size=1, max_size=5), min_size=1, max_size=3).map("/".join)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
digests = st.text("0123456789abcdef", min_size=32, max_size=32).map("md5:{}".format)
contents = st.builds(Content, paths, digests, st.integers(0, 10**12), st.integers(0, 10))
entries = st.builds(
    Entry,
    st.lists(st.text(min_size=1, max_size=10), min_size=1, max_size=2).map(tuple),
    st.lists(contents, max_size=3, unique_by=lambda c: c.path).map(tuple),
    st.dictionaries(st.just("params.yaml"), st.dictionaries(st.text(max_size=5), values, max_size=3), max_size=1),
    st.lists(contents, max_size=3, unique_by=lambda c: c.path).map(tuple),
)


def apart(lineage: dict[str, Entry]) -> dict[str, Entry]:
    """No two stages make the same output: DVC refuses that."""
    return {
        name: Entry(
            e.cmd, e.deps, e.params, tuple(Content(f"{name}/{c.path}", c.digest, c.size, c.files) for c in e.outs)
        )
        for name, e in lineage.items()
    }


stages = st.dictionaries(st.text("abc-", min_size=1, max_size=6), entries, min_size=1, max_size=3).map(apart)
numbers = st.floats(allow_nan=False, allow_infinity=False)


def record(model: str, lineage: dict[str, Entry], created: str = "2026-11-24T21:00:00Z", **more: Any) -> Record:
    digest = lineage_digest(model, lineage)
    facts = {
        "model": model,
        "version": name_of(digest, created),
        "digest": digest,
        "created": created,
        "origin": "local",
        "artifact": "model.onnx",
        "files": {"model.onnx": {"sha256": "0" * 64, "size": 1}},
        "stages": {name: entry.to_dict() for name, entry in lineage.items()},
        **more,
    }
    return Record.model_validate(facts)


ONE = {"train": Entry(("python train.py",), (Content("train.py", "md5:" + "1" * 32, 9),), {}, ())}


@given(names, stages, st.dictionaries(st.text(max_size=8), numbers, max_size=3))
def test_a_record_survives_the_round_trip(model: str, lineage: dict[str, Entry], metrics: dict[str, float]) -> None:
    written = record(model, lineage, metrics={n: {"value": v} for n, v in metrics.items()})
    read = parse_record(written.to_json())
    assert read == written
    assert read.entries() == lineage
    assert read.to_json() == written.to_json()


def test_a_record_is_indented_json_with_a_line_for_each_columns_profile_and_its_digest_does_not_know_of_it() -> None:
    words = {"kind": "category", "missing": 0.0, "values": 2, "shares": {"a": 0.5, "<b>\n": 0.5}, "rest": 0.0}
    none = {"kind": "untold", "why": "text"}
    profile = {"rows": 40, "columns": {"word": words, 'na"me\n': none}, "left_out": 3}
    data = {"sha256": "1" * 64, "size": 9, "rows": 40, "profile": profile}
    plain = record("m", ONE)
    told = record("m", ONE, files={**plain.model_dump(exclude_none=True)["files"], "data": data})
    assert plain.to_json() == json.dumps(plain.model_dump(mode="json", exclude_none=True), indent=1) + "\n"
    assert json.loads(told.to_json()) == told.model_dump(mode="json", exclude_none=True)
    lines = told.to_json().splitlines()
    assert f'     "word": {json.dumps(words)},' in lines
    assert f'     "na\\"me\\n": {json.dumps(none)}' in lines
    assert parse_record(told.to_json()) == told
    assert told.digest == plain.digest


@given(names, stages)
def test_the_digest_ignores_order_and_outputs_but_nothing_else(model: str, lineage: dict[str, Entry]) -> None:
    digest = lineage_digest(model, lineage)
    assert lineage_digest(model, dict(reversed(lineage.items()))) == digest
    for name, entry in lineage.items():
        changed = {**lineage, name: Entry((*entry.cmd, "--more"), entry.deps, entry.params, entry.outs)}
        assert lineage_digest(model, changed) != digest
    assert lineage_digest(model + "x", lineage) != digest


def test_bytes_that_another_stage_made_are_not_part_of_the_lineage() -> None:
    def lineage(model_bytes: str, code: str) -> dict[str, Entry]:
        made = Content("model.onnx", f"md5:{model_bytes * 32}", 5)
        return {
            "train": Entry(("train",), (Content("train.py", f"md5:{code * 32}", 5),), {}, (made,)),
            "evaluate": Entry(("evaluate",), (made,), {}, ()),
        }

    assert lineage_digest("m", lineage("a", "1")) == lineage_digest("m", lineage("b", "1"))
    assert lineage_digest("m", lineage("a", "1")) != lineage_digest("m", lineage("a", "2"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d["stages"]["train"].update(cmd=["python evil.py"]), "the record was edited"),
        (lambda d: d.update(digest="f" * 64), "its time and digest say"),
        (lambda d: d.update(created="2026-11-25T00:00:00Z"), "its time and digest say"),
        (lambda d: d.update(created="yesterday"), "does not match format"),
        (lambda d: d["files"].clear(), "files lacks the artifact"),
        (lambda d: d.update(extra=1), "extra"),
        (lambda d: d["metrics"].update(auc={"value": "high"}), "metrics.auc.value"),
        (lambda d: d["metrics"].update(auc={"value": float("nan")}), "metrics.auc.value"),
        (lambda d: d["stages"].update(train=[]), "stages.train"),
        (lambda d: d["files"].update({"x": {"sha256": "00", "size": 1}}), "files.x.sha256"),
    ],
)
def test_a_record_that_does_not_hold_together_is_refused(change: Any, said: str) -> None:
    data = json.loads(record("m", ONE, metrics={"auc": {"value": 0.7}}).to_json())
    change(data)
    with pytest.raises(ValueError, match="(?s)" + said.replace(".", r"\.")):
        parse_record(json.dumps(data))


@given(st.text())
def test_any_text_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(ValueError, match=r"(?s).+"):
        parse_record(text)


def test_a_record_says_each_thing_once() -> None:
    text = record("m", ONE).to_json()
    twice = text.replace('"digest"', f'"digest": "{"0" * 64}", "digest"', 1)
    with pytest.raises(ValueError, match="the key 'digest' stands twice"):
        parse_record(twice)


def test_a_record_is_written_once(tmp_path: Path) -> None:
    path = write_record(tmp_path, record("m", ONE))
    before = path.read_bytes()
    with pytest.raises(RefError, match="exists already"):
        write_record(tmp_path, record("m", ONE, origin="ci"))
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name], "no temporary file stays"


def test_a_renamed_record_is_seen(tmp_path: Path) -> None:
    path = write_record(tmp_path, record("m", ONE))
    path.rename(path.with_name("20300101T000000Z-" + path.name[-13:]))
    (found,) = find(tmp_path, "m")
    with pytest.raises(SpecError, match="is the record of m 2026"):
        read_record(found)


def test_a_clock_set_back_does_not_hide_a_new_version(tmp_path: Path) -> None:
    assert next_time(tmp_path, "m") < "2999"
    write_record(tmp_path, record("m", ONE, "2999-12-31T23:59:58Z"))
    assert next_time(tmp_path, "m") == "2999-12-31T23:59:59Z"


def test_a_pipe_named_like_a_record_hangs_nobody(tmp_path: Path) -> None:
    path = write_record(tmp_path, record("m", ONE))
    os.mkfifo(path.with_name("20300101T000000Z-00000000.json"))
    assert [f.path for f in find(tmp_path, "m")] == [path]


def versions(root: Path, count: int) -> list[Record]:
    made = []
    for number in range(count):
        entry = Entry((f"train {number}",), (), {}, ())
        made.append(record("m", {"train": entry}, f"2026-11-{number + 1:02}T00:00:00Z"))
        write_record(root, made[-1])
    return made


def found(root: Path, reference: str) -> str:
    return resolve(WorkTree(root), parse(reference), ["m"]).version


def test_references_resolve(tmp_path: Path) -> None:
    made = versions(tmp_path, 3)
    (tmp_path / "models/m/production.yaml").write_text(
        f"champion: {{version: {made[1].version}, digest: '{'0' * 64}'}}\n"
    )
    assert found(tmp_path, "m") == found(tmp_path, "m@latest") == made[2].version
    assert found(tmp_path, f"m@{made[0].digest[:4]}") == made[0].version
    assert found(tmp_path, f"m@{made[0].digest}") == made[0].version
    assert found(tmp_path, f"m@{made[0].version}") == made[0].version
    assert found(tmp_path, "m@production") == made[1].version


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("m@0000000000", "names no version"),
        ("m@staging", "it is deployed nowhere"),
        ("x", "there is no model x"),
        ("M", "names no version"),
        ("m@", "names no version"),
        ("m@../../etc", "names no version"),
        ("", "names no version"),
    ],
)
def test_unknown_references_list_the_candidates(tmp_path: Path, reference: str, said: str) -> None:
    made = versions(tmp_path, 2)
    with pytest.raises(RefError) as info:
        found(tmp_path, reference)
    assert said in info.value.message
    if reference.startswith("m@") and "." not in reference and len(reference) > 2:
        assert made[0].digest[:8] in info.value.hint


def test_an_ambiguous_reference_lists_its_candidates(tmp_path: Path) -> None:
    seen: dict[str, Record] = {}
    for number in range(5000):
        made = record("m", {"train": Entry((f"train {number}",), (), {}, ())})
        other = seen.setdefault(made.digest[:4], made)
        if other is not made:
            break
    write_record(tmp_path, made)
    write_record(tmp_path, other)
    with pytest.raises(RefError, match="is ambiguous") as info:
        found(tmp_path, f"m@{made.digest[:4]}")
    assert made.digest[:8] in info.value.hint
    assert other.digest[:8] in info.value.hint


@given(st.text())
def test_any_reference_is_parsed_or_refused(text: str) -> None:
    try:
        reference = parse(text)
    except RefError:
        return
    assert str(reference) in (text, f"{text}@latest")


@given(stages, st.integers(5, 1000), st.floats(0, 1e9))
def test_refits_come_back_and_do_not_change_the_version(
    lineage: dict[str, Entry], count: int, deviation: float
) -> None:
    known = record("m", lineage, metrics={"auc": Metric(value=0.7, refits=Refits(count, deviation))})
    without = record("m", lineage, metrics={"auc": Metric(value=0.7)})
    assert parse_record(known.to_json()) == known
    assert (known.version, known.digest) == (without.version, without.digest)
    assert json.loads(without.to_json())["metrics"] == {"auc": {"value": 0.7}}, "as records have ever been"


@pytest.mark.parametrize(
    "refits", [{"count": 4, "deviation": 0.1}, {"count": 5, "deviation": -0.1}, {"count": 5}, [0.7] * 5]
)
def test_a_record_with_refits_that_are_none_is_refused(refits: object) -> None:
    found = json.loads(record("m", {}).to_json())
    found["metrics"] = {"auc": {"value": 0.7, "refits": refits}}
    with pytest.raises(ValueError, match=r"metrics\.auc\.refits"):
        parse_record(json.dumps(found))


def test_a_record_of_a_newer_format_says_to_upgrade() -> None:
    with pytest.raises(ValueError, match=r"^has format 2, and this gitml reads format 1: upgrade gitml$"):
        parse_record('{"format": "gitml version 2", "model": {"name": "delay"}}')
