"""Detectors that alibi-detect 0.11.4 saved, read here: the folders and figures in `saved` come from `beside.py`."""

from __future__ import annotations

import io
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gitml.errors import InconclusiveError, UsageError
from gitml.monitoring.alibi.folder import look_into
from gitml.monitoring.alibi.own import read, why_not
from gitml.monitoring.alibi.univariate import DriftType

SAVED = Path(__file__).parent / "saved"
FIGURES: dict[str, Any] = json.loads((SAVED / "figures.json").read_text())


def same_figures(folder: Path, figures: dict[str, dict[str, Any]]) -> None:
    """Ours of `folder` are those of alibi-detect, to the last bit of its float32."""
    detector, x = read(look_into(folder / "saved")), np.load(folder / "x.npy")
    drift_types: tuple[DriftType, ...] = ("batch", "feature")
    for drift_type in drift_types:
        ours, theirs = detector.predict(x, drift_type).to_dict(), figures[drift_type]
        assert set(ours) == set(theirs) == {"is_drift", "distance", "p_val", "threshold"}
        for key, value in theirs.items():
            np.testing.assert_allclose(ours[key], value, rtol=3e-7, atol=0, err_msg=f"{folder.name} {key}")


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_those_of_alibi_detect(name: str) -> None:
    same_figures(SAVED / name, FIGURES[name])


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    def copied(name: str, old: str = "", new: str = "") -> Path:
        folder = tmp_path / name
        shutil.copytree(SAVED / name / "saved", folder)
        config = folder / "config.toml"
        assert old in config.read_text()
        config.write_text(config.read_text().replace(old, new) if old else config.read_text())
        return folder

    return copied


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('alternative = "two-sided"', 'alternative = "sideways"', "alternative"),
        ('correction = "bonferroni"', 'correction = "holm"', "correction"),
        ("p_val = 0.05", "p_val = 5", "p_val"),
        ("p_val = 0.05", "p_value = 0.05", "p_value"),
        ('x_ref = "x_ref.npy"', 'x_ref = "../x_ref.npy"', "x_ref"),
        ('n_features = "None"', "n_features = 4", "n_features is 4"),
        ('update_x_ref = "None"', "[update_x_ref]\nlast = 100", "update_x_ref"),
        ('name = "KSDrift"', "name = KSDrift", "no TOML"),
        ('name = "KSDrift"', "", "names no detector"),
    ],
)
def test_settings_that_are_unknown_are_refused(saved: Callable[..., Path], old: str, new: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        read(look_into(saved("ks", old, new)))
    assert refused.value.hint


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("0 = 4", "7 = 4", "column 7"),
        ("0 = 4", "", "column 0"),
        ("0 = 4", "0 = [ 0, 1, 2, 3,]", "several kinds"),
        ("0 = 4", "0 = 4000000000", "categories_per_feature"),
        ("0 = 4", "0 = 5", "category 4 of column 0"),
    ],
)
def test_categories_that_cannot_be(saved: Callable[..., Path], old: str, new: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read(look_into(saved("chi-counted", old, new))).predict(np.load(SAVED / "chi-counted/x.npy") % 4)


def test_missing_values_and_no_rows_are_not_judged(saved: Callable[..., Path]) -> None:
    detector = read(look_into(saved("tabular")))
    with pytest.raises(InconclusiveError, match="no row"):
        detector.predict(np.zeros((0, 3)))
    with pytest.raises(InconclusiveError, match="column 1 has missing values"):
        detector.predict(np.full((5, 3), np.nan))
    with pytest.raises(UsageError, match="3 columns"):
        detector.predict(np.zeros((5, 2)))


def _object_array() -> bytes:
    """An array whose loading would call `exit`."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": (1, 1)})
    return header.getvalue() + pickle.dumps(exit)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (_object_array(), "holds Python objects"),
        (b"", "is no array"),
        (b"\x93NUMPY\x01\x00v\x00" + b"(" * 118, "is no array"),
        ((SAVED / "ks/saved/x_ref.npy").read_bytes()[:-1], "torn"),
        ((SAVED / "ks/saved/x_ref.npy").read_bytes() + b"x", "torn"),
        ((SAVED / "ks/saved/x_ref.npy").read_bytes().replace(b"(40, 3)", b"(0, 30)"), "torn"),
        ((SAVED / "ks/saved/x_ref.npy").read_bytes().replace(b"'<f8'", b"'<c8'"), "Python objects"),
    ],
)
def test_arrays_that_are_not_plain_are_refused(saved: Callable[..., Path], content: bytes, said: str) -> None:
    folder = saved("ks")
    (folder / "x_ref.npy").write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read(look_into(folder))


def test_an_array_that_claims_to_be_huge_is_not_read(saved: Callable[..., Path]) -> None:
    folder = saved("ks")
    place = folder / "x_ref.npy"
    place.write_bytes(place.read_bytes().replace(b"(40, 3), }           ", b"(4000000000, 3), }   "))
    with pytest.raises(InconclusiveError, match="MiB"):
        read(look_into(folder))


def test_folders_that_are_none_say_what_to_do(tmp_path: Path, saved: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match="no detector income"):
        look_into(tmp_path / "income")
    (tmp_path / "income").mkdir()
    with pytest.raises(UsageError, match=r"no config\.toml"):
        look_into(tmp_path / "income")
    folder = saved("ks")
    (folder / "x_ref.npy").unlink()
    (folder / "x_ref.npy").symlink_to(SAVED / "ks/saved/x_ref.npy")
    with pytest.raises(UsageError, match="no regular file"):
        look_into(folder)


def test_what_is_code_is_known_before_anything_runs(tmp_path: Path, saved: Callable[..., Path]) -> None:
    assert why_not(look_into(saved("ks"))) == ""
    assert "MMDDrift" in why_not(look_into(saved("chi", "ChiSquareDrift", "MMDDrift")))
    with_code = saved("tabular", 'preprocess_fn = "None"', "")
    (with_code / "preprocess_fn").mkdir()
    (with_code / "preprocess_fn/function.dill").write_bytes(b"")
    assert "preprocess_fn/function.dill" in why_not(look_into(with_code))
    config = with_code / "config.toml"
    config.write_text(config.read_text() + '\n[preprocess_fn]\nsrc = "preprocess_fn/function.dill"\n')
    assert "code" in why_not(look_into(with_code))
    legacy = tmp_path / "legacy"
    legacy.mkdir()
    (legacy / "meta.dill").write_bytes(b"")
    assert "pickle" in why_not(look_into(legacy))
