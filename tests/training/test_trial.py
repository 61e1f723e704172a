"""What a version shows when it is tried: its answers on its own samples, and its speed."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.kit import World
from agent.running import version
from gitml.control.mainline import Mainline
from gitml.dvc.addresses import places_of
from gitml.dvc.remotes import depot
from gitml.git.commands import Git
from gitml.models.model import Predictor
from gitml.models.quarantine import Quarantine, QuarantineLimits
from gitml.models.signature import parse
from gitml.training.trial import TrialShelf, _measured, try_model
from quarantined import quarantine

SIGNATURE = parse({"inputs": [{"name": "x", "type": "float64"}], "outputs": [{"name": "y", "type": "float64"}]})
DOUBLE = Predictor(SIGNATURE, "onnx", "0" * 64, "arrays", lambda rows: rows * 2.0)
ROWS = [0.0, 1.0, 1e6]


def tried(answers: list[Any] | None, model: Predictor = DOUBLE) -> tuple[str, dict[str, Any]]:
    return _measured(model, None if answers is None else {"x": ROWS[: len(answers)], "y": answers})


def test_a_model_that_answers_its_samples_passes_and_is_timed() -> None:
    result, details = tried([0.0, 2.0, 2e6 * (1 + 1e-9)])
    assert (result, details["rows"]) == ("passed", 3)
    assert 0 < details["latency_ms_p95"] < 1000
    assert 0 <= details["parity"] < 1


@pytest.mark.parametrize("answers", [[0.0, 2.0, 2.1e6], [0.001, 2.0, 2e6], [math.nan, 2.0, 2e6], [0.0, 2.0, math.inf]])
def test_other_answers_than_those_recorded_fail(answers: list[float]) -> None:
    assert tried(answers)[0] == "failed"


@pytest.mark.parametrize("answers", [None, []])
def test_without_samples_nothing_is_settled_but_the_speed(answers: list[float] | None) -> None:
    result, details = tried(answers) if answers is None else _measured(DOUBLE, {"x": [1.0]})
    assert (result, details["rows"]) == ("inconclusive", 0)
    assert details["latency_ms_p95"] > 0


def test_words_are_compared_as_words() -> None:
    signature = parse({"inputs": [{"name": "x", "type": "float64"}], "outputs": [{"name": "y", "type": "string"}]})
    model = Predictor(signature, "skops", "0" * 64, "arrays", lambda rows: np.where(rows > 0.5, "late", "early"))
    assert tried(["early", "late", "late"], model)[0] == "passed"
    for other in (["late", "late", "late"], ["early", None, "late"], [0.0, 1.0, 1.0]):
        assert tried(other, model)[0] == "failed"


def test_an_ensemble_is_tried_with_the_versions_that_it_pins(world: World) -> None:
    name = world.ensemble(version(world, 1.0), version(world, 3.0))
    shelf = shelf_of(world)
    found = try_model(shelf, world.versions[name])
    assert (found.result, found.details["rows"]) == ("passed", 10), found.details
    sizing = found.details["sizing"]
    assert 0 < sizing["load_s"] < 300
    assert 20 < sizing["memory_mb"] < 10_000
    assert 0 < sizing["row_ms"]["1024"] < sizing["row_ms"]["1"] < 1000, "many rows at once cost less each"
    assert sizing["cores"] >= 1
    world.artifact(version(world, 3.0)).write_bytes(b"another")
    assert try_model(shelf, world.versions[name]).result == "inconclusive", "the store says nothing of the version"


@pytest.mark.nightly
@pytest.mark.slow
def test_what_the_surroundings_get_in_the_way_of_is_inconclusive(world: World) -> None:
    """A failure stands for good."""
    record = world.versions[version(world, 3.0)]
    shelf = shelf_of(world)
    for other in ("onnx", "pickle"):
        model = shelf.application.models["m"].model_copy(update={"format": other})
        application = shelf.application.model_copy(update={"models": {**shelf.application.models, "m": model}})
        assert try_model(replace(shelf_of(world), application=application), record).result == "inconclusive"
    with Quarantine(QuarantineLimits(seconds=1e-6)) as hurried:
        assert try_model(replace(shelf_of(world), quarantine=hurried), record).result == "inconclusive"
    artifact = world.artifact(record.version)
    artifact.write_bytes(b"another")
    assert try_model(shelf_of(world), record).result == "inconclusive"


def test_recorded_bytes_that_do_not_load_fail(world: World, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    record = world.versions[world.bought(tmp_path / "model.onnx", 1.0)]
    found = try_model(shelf_of(world), record)
    assert (found.result, "is not onnx" in found.details["reason"]) == ("failed", True), found.details


def shelf_of(world: World) -> TrialShelf:
    main = Mainline(Git(world.clone), world.tip)
    store = depot(places_of(main.file(".dvc/config") or b""))
    return TrialShelf(main, store, main.application(), main.policy(), datetime.now(UTC), quarantine())
