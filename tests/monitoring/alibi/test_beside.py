"""The real alibi-detect 0.11.4 beside ours, in the environment that gitml builds for it (`make test-alibi`)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gitml.monitoring.alibi.apart import ask
from gitml.monitoring.alibi.folder import look_into
from gitml.monitoring.alibi.own import why_not
from gitml.pipelines.detectorvenv import alibi_environment
from monitoring.alibi.test_own import FIGURES, SAVED, same_figures

pytestmark = [pytest.mark.alibi, pytest.mark.nightly, pytest.mark.slow]
HERE = Path(__file__).parent


# What each says of rows of which a tenth is far off: drift detectors drift, those of outliers tell a share.
KINDS = {
    "mmd": "drift", "lsdd": "drift", "online": "online",
    "forest": "outlier", "mahalanobis": "outlier", "network": "outlier",
}  # fmt: skip


@pytest.fixture(scope="module")
def python() -> Path:
    return alibi_environment("").python


def run(python: Path, *words: Any) -> Any:
    done = subprocess.run([python, *map(str, words)], capture_output=True, check=True, env={"PATH": "/usr/bin:/bin"})
    return json.loads(done.stdout.splitlines()[-1])


def test_ours_are_its_own(python: Path, tmp_path: Path) -> None:
    """Also on other data than those whose figures are kept."""
    told = run(python, HERE / "beside.py", tmp_path, *range(9))
    assert told["0"] == FIGURES
    for name in FIGURES:
        for file in ("config.toml", "x_ref.npy"):
            assert (tmp_path / "0" / name / "saved" / file).read_bytes() == (SAVED / name / "saved" / file).read_bytes()
    for seed, cases in told.items():
        for name, figures in cases.items():
            same_figures(tmp_path / seed / name, figures)


def test_others_run_in_it(python: Path, tmp_path: Path) -> None:
    told = run(python, HERE / "others.py", tmp_path)
    for name, figures in told.items():
        folder = look_into(tmp_path / name)
        assert why_not(folder)
        found = ask(python, folder.path, np.load(tmp_path / f"{name}.npy"))
        assert found.version == folder.version == "0.11.4"
        assert found.detector == folder.name
        for key in ("is_drift", "p_val", "distance", "threshold"):
            if key in figures:
                np.testing.assert_allclose(getattr(found, key), figures[key], rtol=1e-6, err_msg=f"{name} {key}")


@pytest.mark.parametrize("backend", ["tensorflow", "pytorch"])
def test_backends_and_outliers_run_in_theirs(tmp_path: Path, backend: str) -> None:
    python = alibi_environment(backend).python
    told = run(python, HERE / "backends.py", tmp_path, backend)
    assert len(told) == (6 if backend == "tensorflow" else 3)
    for name, figures in told.items():
        folder = look_into(tmp_path / name)
        assert (folder.backend, bool(why_not(folder))) == (backend, True)
        found = ask(python, folder.path, np.load(tmp_path / f"{name}.npy"))
        assert (found.version, found.kind) == ("0.11.4", KINDS[name])
        assert found.is_drift == (found.kind != "outlier")
        if "p_val" in figures:
            assert found.permutations == 50
            assert found.p_val == [figures["p_val"]] == [0.0]
        if "distance" in figures:
            assert found.distance == pytest.approx([figures["distance"]], rel=1e-4)
