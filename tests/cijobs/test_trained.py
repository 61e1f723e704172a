"""What a run must have handed over so that a version counts as trained."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gitml.control.signing import heard
from gitml.derivation.handover import StageRun, unpacked
from gitml.errors import GitmlError, IntegrityError
from gitml.forges.github.runs import _run
from gitml.forges.rest import Shape
from gitml.gate.vouching import NoProofError, Vouching, same_digests
from promotion.gating import Gated
from promotion.promoting import MemoryTown, record

COMMIT = "c" * 40


def fragment(**more: Any) -> bytes:
    return json.dumps({"job": "train-cpu", "commit": COMMIT, "status": "successful", **more}).encode()


def archive(content: bytes, name: str = "fragment-train-cpu.json", *more: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as opened:
        for one in (name, *more):
            opened.writestr(one, content)
    return stream.getvalue()


def test_an_artifact_is_one_fragment_of_its_own_name() -> None:
    assert unpacked("fragment-train-cpu", archive(fragment())).commit == COMMIT
    inside = archive(fragment(), ".gitml-ci/fragment-train-cpu.json")
    assert unpacked("fragment-train-cpu", inside).job == "train-cpu"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no zip",
        archive(fragment(), "other.json"),
        archive(fragment(), "fragment-train-cpu.json", "more.json"),
        archive(fragment(job="train-gpu")),
        archive(fragment(status="failed")),
        archive(fragment(extra=1)),
        archive(b"{"),
        archive(b"[" * 100_000),
        archive(fragment())[:-30],
        archive(b"0" * 70_000_000),
    ],
    ids=["empty", "no zip", "name", "two", "job", "failed", "key", "json", "deep", "cut", "bomb"],
)
def test_anything_else_is_refused(raw: bytes) -> None:
    with pytest.raises(IntegrityError):
        unpacked("fragment-train-cpu", raw)


def test_whoever_started_the_training_is_told_and_who_started_it_again_instead() -> None:
    """It used to be empty, so "whoever started its training" kept nobody from approving."""
    told = {"id": 7, "event": "push", "head_sha": COMMIT, "html_url": "http://ci/7", "actor": {"login": "ada"}}
    assert _run(Shape(told, "a run")).by == "ada"
    assert _run(Shape({**told, "triggering_actor": {"login": "olga"}}, "a run")).by == "olga"


@pytest.mark.slow
def test_stages_and_digests_must_be_those_of_the_record(new_gated_here: Callable[[], Gated[MemoryTown]]) -> None:
    g = new_gated_here()
    version = record(1, commit=COMMIT)
    files = {path: file.model_dump(exclude_none=True) for path, file in version.files.items()}
    ran = StageRun.model_validate({"stage": "train", "how": "ran", "entry": version.stages["train"], "outputs": files})
    with g.ground() as (place, known):
        believed = heard(place, known.policy)
        same_digests(known.main, believed, version, {"train": ran})
        other = record(2).stages["train"]
        hollow = {path: {**file, "sha256": "f" * 64} for path, file in files.items()}
        for wrong, why, contradicts in (
            ({}, "something else for stage train", True),
            ({"train": ran.model_copy(update={"entry": other})}, "something else for stage train", True),
            ({"train": ran.model_copy(update={"how": "restored"})}, "nobody vouches for it", False),
            ({"train": ran.model_copy(update={"outputs": {}})}, "nothing of the artifact", False),
            (
                {"train": StageRun.model_validate({**ran.model_dump(exclude_none=True), "outputs": hollow})},
                "another",
                True,
            ),
        ):
            with pytest.raises(NoProofError, match=why) as caught:
                same_digests(known.main, believed, version, wrong)
            assert caught.value.contradicts is contradicts
        strict = known.policy.model_copy(
            update={"trust": known.policy.trust.model_copy(update={"branch_runs": "reproduce"})}
        )
        with pytest.raises(GitmlError, match="believes no run of a branch"):
            Vouching(place, replace(known, policy=strict), COMMIT, ()).vouch()
