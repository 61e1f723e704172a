"""Ids as keyed hashes, and the files of them: spellings that are one, keys that change, memory that is bounded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml.errors import InconclusiveError, IntegrityError, UsageError
from gitml.governance.subjectids import (
    SoughtPerson,
    SubjectKey,
    compared,
    key_ring,
    needed_ring,
    new_key,
    text_of,
    token_of,
)
from gitml.governance.subjectindex import columns_in, ids_in, opened_index, write_index
from gitml.spec.subjects import Subjects

FORM = ("nfkc", "casefold", "visible", "trim")
KEY = SubjectKey("a", b"k" * 32)
SUBJECTS = Subjects.model_validate({"data": {"data/people.parquet": ("email",)}})


@pytest.mark.parametrize(
    "other", ["ZOE\u0308 ", "\ufeffzoë", "ｚｏｅ\u0308", "zo\u00ebzzz"[:3] + "\u200d", "\u202ezoë\u202c"]
)
def test_spellings_of_one_id_are_one(other: str) -> None:
    assert compared(other, FORM) == compared("Zoë", FORM)
    assert compared("zoe", FORM) != compared("zoë", FORM)


@given(
    st.text("aÀe\u0301\u0300ｚ ßİ\u0345\u200b\t0²ﬁΣς", max_size=12),
    st.lists(st.sampled_from([*FORM, "nfc", "alphanumeric"]), unique=True),
)
def test_the_compared_form_is_stable(text: str, form: list[str]) -> None:
    once = compared(text, form)  # type: ignore[arg-type]
    assert compared(once, form) == once  # type: ignore[arg-type]


def test_numbers_are_the_words_that_people_write() -> None:
    assert [text_of(value) for value in (17, 17.0, 2**60, "007", None)] == ["17", "17", str(2**60), "007", ""]
    for wrong in (True, b"17", ["17"]):
        with pytest.raises(UsageError, match="a column of ids holds"):
            text_of(wrong)


def test_an_index_answers_and_tells_nothing(tmp_path: Path) -> None:
    people = [f"person {number}" for number in range(300)]
    assert write_index(tmp_path / "i", [*people, None, "  ", *(p.upper() for p in people)], KEY, FORM) == 300
    raw = (tmp_path / "i").read_bytes()
    assert b"person" not in raw
    with opened_index(tmp_path / "i", KEY) as index:
        entry = KEY.entry("person 7")
        assert index.holds(SoughtPerson({"a": entry}))
        assert index.holds(SoughtPerson(request="R", token=token_of(entry, "R"), key="a"))
        assert not index.holds(SoughtPerson(request="S", token=token_of(entry, "R"), key="a"))
        assert not index.holds(SoughtPerson({"a": KEY.entry("person 300")}))
        assert not index.holds(SoughtPerson({"b": entry}))


@pytest.mark.parametrize("damage", [lambda raw: raw[:-1], lambda raw: raw[:90] + b"x" + raw[91:], lambda raw: b"{}"])
def test_an_index_that_was_touched_is_not_believed(tmp_path: Path, damage: object) -> None:
    path = tmp_path / "i"
    write_index(path, ["one", "two"], KEY, FORM)
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(IntegrityError, match="is damaged"), opened_index(path, KEY):
        pass


def test_another_key_of_that_name_is_noticed(tmp_path: Path) -> None:
    write_index(tmp_path / "i", ["one"], KEY, FORM)
    with pytest.raises(IntegrityError, match="another key"), opened_index(tmp_path / "i", SubjectKey("a", b"z" * 32)):
        pass


def test_memory_is_bounded_by_parts_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitml.governance.subjectindex._SPILL", 160)
    assert write_index(tmp_path / "small", range(1000), KEY, FORM) == 1000
    monkeypatch.undo()
    write_index(tmp_path / "large", reversed(range(1000)), KEY, FORM)
    assert (tmp_path / "small").read_bytes() == (tmp_path / "large").read_bytes()


def test_keys_rotate_and_errors_never_show_them() -> None:
    old, new = new_key("2025b"), new_key("2026a")
    ring = needed_ring(SUBJECTS, {"SUBJECT_KEYS": f"{new},{old}"})
    assert (ring.current.name, ring.named("2025b").name) == ("2026a", "2025b")
    assert set(SoughtPerson.by_id(ring, "x", FORM).entries) == {"2026a", "2025b"}
    with pytest.raises(InconclusiveError, match="the key 2024a is not here"):
        ring.named("2024a")
    assert key_ring(SUBJECTS, {}) is None
    for wrong in ("2026a:c2hvcnQ=", f"{new},{new}", "abcdefgh" * 8, f"{new};{old}"):
        with pytest.raises(UsageError) as told:
            needed_ring(SUBJECTS, {"SUBJECT_KEYS": wrong})
        assert wrong.rpartition(":")[2][:12] not in f"{told.value.message}{told.value.hint}"
    with pytest.raises(UsageError, match="no id came"):
        SoughtPerson.by_id(ring, " \u200b ", FORM)


def test_columns_of_any_kind_are_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    words = pa.array(["a", None, "b"]).dictionary_encode()
    parquet.write_table(pa.table({"word": words, "number": [7, 7, None], "list": [["a"], [], None]}), path)
    assert columns_in(path, ["word", "nothing"]) == ("word",)
    assert [*ids_in(path, ["word", "number"])] == ["a", None, "b", 7, None]
    with pytest.raises(UsageError, match="the column list holds"):
        [*ids_in(path, ["list"])]
    (tmp_path / "t.csv").write_text("id,x\n007,1\n12345678901234567890,2\n")
    assert [*ids_in(tmp_path / "t.csv", ["id"])] == ["007", "12345678901234567890"]
    assert columns_in(tmp_path / "notes.txt", ["id"]) is None
    with pytest.raises(UsageError, match="not a table"):
        [*ids_in(tmp_path / "notes.txt", ["id"])]


@pytest.mark.slow
@pytest.mark.nightly
def test_ten_million_people(tmp_path: Path) -> None:
    """In a process of its own, so that its memory is that of the index alone."""
    program = """
import resource, sys
import subprocess
import sys
from pathlib import Path
from gitml.governance.subjectids import SoughtPerson, SubjectKey
from gitml.governance.subjectindex import columns_in, ids_in, opened_index, write_index
key, target = SubjectKey("a", b"k" * 32), Path(sys.argv[1], "index")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert write_index(target, range(10_000_000), key, ("trim",)) == 10_000_000
with opened_index(target, key) as index:
    assert index.holds(SoughtPerson({"a": key.entry("9999999")}))
    assert not index.holds(SoughtPerson({"a": key.entry("10000000")}))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, target.stat().st_size)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=280, check=True
    )
    kilobytes, size = map(int, done.stdout.split())
    assert size < 161_000_000
    assert kilobytes < 300_000
