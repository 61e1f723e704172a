"""What was just trained, loaded as servers do, before anybody merges it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression
from skops.io import dumps

from conftest import gitml
from gate.kit import APPLICATION, FOLDER, files_of, record_of, skops
from gitml.registry.outputs import parse_signature
from gitml.registry.record import Record
from gitml.spec import parse_application
from gitml.training.tryout import unusable

SIGNATURE = f"{FOLDER}/signature.json"


@pytest.mark.slow
def test_an_artifact_that_no_server_takes_is_named_with_why(tmp_path: Path) -> None:
    files = files_of(0.7, skops("no model at all"))
    plain = record_of("2026-11-24T12:00:00Z", 0.7, files)
    for path, raw in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(raw)
    application = parse_application(APPLICATION.encode())
    signature = parse_signature(files[SIGNATURE], SIGNATURE)
    record = Record.model_validate({**plain.model_dump(), "signature": signature})
    assert unusable(tmp_path, application, record) != ""
    # Without a signature nobody can call it, and main's job says so: it is not the artifact's fault.
    assert unusable(tmp_path, application, plain) == ""


@pytest.mark.nightly
@pytest.mark.slow
def test_a_model_that_does_not_fit_its_signature_is_named_with_why(tmp_path: Path) -> None:
    model = LogisticRegression().fit([[0.0], [1.0], [2.0]], ["a", "b", "c"])
    files = files_of(0.7, dumps(model))
    for path, raw in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(raw)
    application = parse_application(APPLICATION.encode())
    signature = {"inputs": [{"name": "x", "type": "float64"}], "outputs": [{"name": "p", "type": "float64"}]}
    plain = record_of("2026-11-24T12:00:00Z", 0.7, files)
    roles = {role: path for role, path in plain.roles.items() if role != "samples"}
    record = Record.model_validate({**plain.model_dump(), "signature": signature, "roles": roles})
    assert unusable(tmp_path, application, record) == "the model has 3 classes, the signature 1 outputs"


@pytest.mark.slow
def test_train_says_that_no_server_would_take_what_it_made(toy: Path) -> None:
    signature = {"inputs": [{"name": "x", "type": "float64"}], "outputs": [{"name": "p", "type": "float64"}]}
    place = "artifacts/m/signature.json"
    for name, old, new in (
        ("gitml.yaml", "    charts:", f"    signature: {place}\n    charts:"),
        (
            "dvc.yaml",
            "      - artifacts/m/replicates",
            f"      - {place}: {{cache: false}}\n      - artifacts/m/replicates",
        ),
        (
            "evaluate.py",
            "spread =",
            f"(out / 'signature.json').write_text({json.dumps(json.dumps(signature))})\nspread =",
        ),
    ):
        text = (toy / name).read_text()
        assert old in text
        (toy / name).write_text(text.replace(old, new, 1))
    first = gitml(toy, "train")
    assert first.code == 0, first.err
    assert "new version m@" in first.out
    assert "no server would take it: " in first.out
    assert "no server" not in gitml(toy, "train").out
