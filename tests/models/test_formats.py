"""Whole, damaged and disguised model files."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import skops.io
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from gitml.errors import IntegrityError
from gitml.models.formats import check_content, check_format


def onnx(words: bytes = b"\x12\x05graph") -> bytes:
    """A ModelProto with an ir_version, a producer and a graph."""
    return b"\x08\x08" + b"\x12\x04acme" + b"\x3a" + bytes([len(words)]) + words


def safetensors(data: bytes = b"\0" * 8, *, end: int | None = None) -> bytes:
    header = {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, len(data) if end is None else end]}}
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def zipped(path: Path, name: str, content: str | bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)
    return path


def saved(folder: Path, content: bytes) -> Path:
    path = folder / "model"
    path.write_bytes(content)
    return path


def test_what_the_libraries_write_is_accepted(tmp_path: Path) -> None:
    model = LogisticRegression().fit(np.array([[0.0], [1.0]]), [0, 1])
    (tmp_path / "m.skops").write_bytes(skops.io.dumps(model))
    check_format(tmp_path / "m.skops", "skops", "m")
    check_format(saved(tmp_path, safetensors()), "safetensors", "m")
    check_format(saved(tmp_path, onnx()), "onnx", "m")
    check_format(saved(tmp_path, pickle.dumps(model)), "pickle", "m")


@pytest.mark.parametrize(
    ("wanted", "content", "said"),
    [
        ("onnx", b"hello world", "fields are not those"),
        ("onnx", b"", "no graph"),
        ("onnx", onnx()[:-2], "middle of a field"),
        ("onnx", b"\x08\x08", "no graph"),
        ("onnx", onnx() + b"\x08", "middle of a field"),
        ("safetensors", b"", "no header"),
        ("safetensors", b"\xff" * 40, "no header"),
        ("safetensors", safetensors() + b"hidden", "do not fill"),
        ("safetensors", safetensors(end=4), "do not fill"),
        ("safetensors", struct.pack("<Q", 2) + b"[]", "no tensors"),
        ("skops", b"PK\x03\x04 broken", "damaged"),
        ("skops", b"", "damaged"),
        ("pickle", b"", "empty"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, wanted: str, content: bytes, said: str) -> None:
    with pytest.raises(IntegrityError, match=said):
        check_format(saved(tmp_path, content), wanted, "m")


@pytest.mark.parametrize("wanted", ["onnx", "safetensors", "skops"])
def test_a_pickle_is_refused_under_every_other_name(tmp_path: Path, wanted: str) -> None:
    for protocol in range(2, 6):
        with pytest.raises(IntegrityError, match="is a pickle"):
            check_format(saved(tmp_path, pickle.dumps({"a": 1}, protocol)), wanted, "m")
    with pytest.raises(IntegrityError, match="is a pickle"):
        check_format(zipped(tmp_path / "torch", "archive/data.pkl", pickle.dumps(1)), wanted, "m")
    for protocol in (0, 1):  # without a mark at the start: not recognised as pickles, refused all the same
        with pytest.raises(IntegrityError, match="is not"):
            check_format(saved(tmp_path, pickle.dumps({"a": 1}, protocol)), wanted, "m")


def test_a_sound_file_is_no_pickle_however_it_begins(tmp_path: Path) -> None:
    header = b'{"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}'
    for length in (0x0280, 0x0380, 0x0480, 0x0580):  # the first two bytes of a pickle
        check_format(saved(tmp_path, struct.pack("<Q", length) + header.ljust(length) + bytes(8)), "safetensors", "m")


def test_the_bytes_of_a_file_are_judged_as_the_file_is() -> None:
    check_content(safetensors(), "safetensors", "m")
    with pytest.raises(IntegrityError, match="is a pickle"):
        check_content(pickle.dumps(1), "safetensors", "m")
    with pytest.raises(IntegrityError, match="in other files"):
        check_content(onnx(b"\x2a\x0f\x6a\x0d\x0a\x08location\x12\x01x"), "onnx", "m")


def test_a_zip_file_holds_no_pickle_and_no_bomb(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", '{"__class__": "x"}')
        archive.writestr("zeros.npy", bytes(50 << 20))
    with pytest.raises(IntegrityError, match="would unpack"):
        check_format(tmp_path / "m", "skops", "m")
    with zipfile.ZipFile(tmp_path / "n", "w") as archive:
        archive.writestr("schema.json", '{"__class__": "x"}')
        archive.writestr("inside.joblib", pickle.dumps(1))
    with pytest.raises(IntegrityError, match="is a pickle"):
        check_format(tmp_path / "n", "skops", "n")


def test_a_pickle_with_a_sound_zip_file_behind_it_is_refused(tmp_path: Path) -> None:
    sound = zipped(tmp_path / "m", "schema.json", '{"__class__": "x"}').read_bytes()
    check_content(sound, "skops", "m")
    with pytest.raises(IntegrityError, match="is a pickle"):
        check_content(pickle.dumps(1) + sound, "skops", "m")
    with pytest.raises(IntegrityError, match="does not begin like"):
        check_content(b"cos\nsystem\n" + sound, "skops", "m")


def test_a_zip_file_needs_the_schema_of_skops(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"no schema\.json"):
        check_format(zipped(tmp_path / "m", "other.json", "{}"), "skops", "m")
    with pytest.raises(IntegrityError, match="describes no object"):
        check_format(zipped(tmp_path / "m", "schema.json", "[]"), "skops", "m")
    with pytest.raises(IntegrityError, match="damaged"):
        check_format(zipped(tmp_path / "m", "schema.json", "[" * 100_000), "skops", "m")


@given(st.sampled_from(["onnx", "safetensors", "skops"]), st.binary(max_size=200))
def test_any_bytes_are_judged_without_a_crash(
    tmp_path_factory: pytest.TempPathFactory, wanted: str, content: bytes
) -> None:
    path = saved(tmp_path_factory.getbasetemp(), content)
    with suppress(IntegrityError):
        check_format(path, wanted, "m")
        assert content.startswith((b"\x08", b"\x3a", b"\x12")) or wanted == "safetensors"
