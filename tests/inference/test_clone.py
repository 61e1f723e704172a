"""Versions of a clone, from a pin to a model that answers: the way that score, serve and every ensemble go."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

import pytest

from agent.kit import World
from agent.running import version
from conftest import write
from gitml.errors import FailedError, IntegrityError, RefError
from gitml.inference.clone import loader
from gitml.registry.load import Loader
from gitml.registry.record import name_of
from gitml.spec import load_application
from gitml.spec.deployment import Pin
from gitml.spec.ensemble import DEEPEST

SAMPLES = "artifacts/m/samples.parquet"


def pin(world: World, name: str, **more: str) -> Pin:
    return Pin.model_validate({**world.pin(name), **more})


def loading(world: World, **more: tuple[str, ...]) -> Loader:
    made = loader(world.clone, load_application(world.clone).models)
    return Loader(made.shelf, made.models, **more)  # type: ignore[arg-type]


def lie(world: World, name: str, other: str) -> None:
    """The record of ``name`` has the sample rows of another version."""
    record = world.versions[name]
    files = {**record.files, SAMPLES: world.versions[other].files[SAMPLES]}
    write(world.clone, {f"models/m/versions/{name}.json": record.model_copy(update={"files": files}).to_json()})


def test_a_version_is_fetched_loaded_and_held_against_its_samples(world: World) -> None:
    found = loading(world).pinned("m", pin(world, version(world, 2.0)))
    assert (found.record.version, found.parity.rows, found.parity.first) == (version(world, 2.0), 10, "")
    shutil.rmtree(world.store)
    assert loading(world).pinned("m", pin(world, version(world, 2.0))).parity.rows == 10, "what was fetched is kept"


def test_another_answer_than_the_samples_hold_is_refused(world: World) -> None:
    lie(world, version(world, 2.0), version(world, 3.0))
    with pytest.raises(FailedError, match="answers otherwise than its sample rows say: y in row 1 is"):
        loading(world).pinned("m", pin(world, version(world, 2.0)))


def test_a_member_is_held_against_its_samples_too(world: World) -> None:
    both = world.ensemble(version(world, 1.0), version(world, 2.0))
    found = loading(world).pinned("e", pin(world, both))
    assert {record.version for record in found.inner} == {version(world, 1.0), version(world, 2.0)}
    lie(world, version(world, 2.0), version(world, 3.0))
    with pytest.raises(FailedError, match="answers otherwise"):
        loading(world).pinned("e", pin(world, both))


@pytest.mark.parametrize(
    ("wrong", "error"), [({"digest": "0" * 64}, IntegrityError), ({"version": "20200101T000000Z-00000000"}, RefError)]
)
def test_a_pin_names_the_version_and_its_artifact(
    world: World, wrong: Mapping[str, str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        loading(world).pinned("m", pin(world, version(world, 1.0), **wrong))


def test_ensembles_nest_as_deep_as_is_said(world: World) -> None:
    both = world.ensemble(version(world, 1.0), version(world, 2.0))
    around = tuple(f"outer{n}" for n in range(DEEPEST))
    assert loading(world, inside=around).pinned("m", pin(world, version(world, 1.0))).parity.rows == 10
    assert loading(world, inside=around[:-1]).pinned("e", pin(world, both)).parity.rows == 10
    with pytest.raises(IntegrityError, match="too deep"):
        loading(world, inside=around).pinned("e", pin(world, both))


def test_small_samples_of_an_older_version_come_from_the_commit_that_brought_it(world: World) -> None:
    record = world.versions[version(world, 1.0)]
    (world.clone / SAMPLES).parent.mkdir(parents=True)
    shutil.copy(world.object((record.files[SAMPLES].dvc or "").removeprefix("md5:")), world.clone / SAMPLES)
    files = {**record.files, SAMPLES: record.files[SAMPLES].model_copy(update={"dvc": None})}
    created = "2026-02-01T00:00:00Z"
    name = name_of(record.digest, created)
    made = record.model_copy(update={"version": name, "created": created, "files": files})
    write(world.clone, {f"models/m/versions/{name}.json": made.to_json()})
    world.push("a version with its samples in Git")
    (world.clone / SAMPLES).write_bytes(b"those of the next version")
    world.push("the next one")
    assert loading(world).pinned("m", Pin(version=name, digest=pin(world, record.version).digest)).parity.rows == 10
