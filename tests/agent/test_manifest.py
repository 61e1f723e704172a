"""Manifests for agents: what Kubernetes' own schema takes, and what they never allow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from agent.kit import REPOSITORY, Merged, World
from agent.running import version
from gitml.agent.manifest import ManifestOrder, manifests, sized
from gitml.cli.agent import agent
from gitml.errors import InconclusiveError, OutsideError, UsageError
from gitml.git.ledger import append

IMAGE = f"registry.example/acme/gitml@sha256:{'a' * 64}"
ORDER = ManifestOrder("production", IMAGE, "https://github.com/ada/flights.git", log="s3://bucket/traffic")


def parts(text: str) -> dict[str, Any]:
    return {part["kind"]: part for part in YAML(typ="safe", pure=True).load_all(text)}


@pytest.mark.parametrize("version", ["1.29", "1.34"])
def test_kubernetes_schema_takes_all_of_it(version: str) -> None:
    found = parts(manifests(ORDER))
    assert set(found) == {"Service", "PodDisruptionBudget", "StatefulSet"}
    for part in found.values():
        kubernetes_validate.validate(part, version, strict=True)


def test_nobody_is_root_nothing_is_written_but_state_and_memory_follows_from_the_sizing(tmp_path: Path) -> None:
    told = {"serving": {"memory": 257.2}, "serving_plan": {"processes": 5}}
    (tmp_path / "size.json").write_text(json.dumps(told))
    words = ["manifest", "production", "--from", ORDER.source, "--image", IMAGE, "--size", str(tmp_path / "size.json")]
    done = CliRunner().invoke(agent, words, catch_exceptions=False)
    pod = parts(done.stdout)["StatefulSet"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/state", "/tmp"}
    assert container["args"][container["args"].index("--processes") + 1] == "3", "two pods share five"
    assert container["resources"]["requests"]["cpu"] == "3"
    assert int(container["resources"]["limits"]["memory"].removesuffix("Mi")) == pytest.approx(1758, abs=2)
    assert "GITML_SIGNING_KEY" not in done.stdout, "keys come from the secret alone"


@pytest.mark.parametrize(
    "more",
    [
        {"image": "acme/gitml:latest"},
        {"image": f"acme/gitml@sha256:{'a' * 63}"},
        {"image": f"x\n@sha256:{'a' * 64}"},
        {"name": "Production"},
        {"name": "a" * 64},
        {"secret": "a: b"},
        {"source": "https://x/\n- evil"},
        {"source": "https://olga:secret@github.com/ada/flights.git"},
        {"folder": "a\n- evil"},
    ],
)
def test_what_is_no_name_or_no_digest_is_refused(more: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        manifests(ManifestOrder(**{"environment": "production", "image": IMAGE, "source": "x", **more}))


def test_hostile_words_stay_words() -> None:
    source = 'https://x/"; rm -rf / - evil: {{ }} # $(id)'
    (container,) = parts(manifests(ManifestOrder("production", IMAGE, source)))["StatefulSet"]["spec"]["template"][
        "spec"
    ]["containers"]
    assert container["args"][3] == source


@pytest.mark.parametrize("told", [{}, {"serving": {"memory": 1.0}, "serving_plan": {"processes": 0}}, {"serving": 1}])
def test_a_sizing_that_says_nothing_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        sized(told)


def asked(world: World, *more: str) -> Any:
    words = ["manifest", "production", "--from", str(world.forge), "--repository", REPOSITORY, "--image", IMAGE, *more]
    return CliRunner().invoke(agent, words)


def test_processes_and_memory_are_those_of_signed_trials_of_what_main_names(world: World) -> None:
    champion = version(world, 1.0)
    record = world.versions[champion]
    about = Merged("x", "", "0" * 40, world.tip, world.tip, world.tip, "m", "")
    bound = {"change": None, "version": champion, "artifact": record.files[record.artifact].sha256}

    def tried(minute: int, memory: object, **more: Any) -> tuple[str, bytes]:
        details = {"sizing": {"memory_mb": memory}, "rows_per_second": 1000.0}
        return world.signed(
            "evaluated", about, time=f"2026-01-02T00:{minute:02}:00Z", details=details, **{**bound, **more}
        )

    strange = [tried(1, 100.0, by="stranger"), tried(2, 100.0, artifact="0" * 64), tried(3, 100.0, result="failed")]
    append(world.remote, dict([*strange, tried(4, "257")]))
    short = f"m@{champion.rpartition('-')[2]}"
    done = asked(world, "--target", "1000/s")
    assert isinstance(done.exception, InconclusiveError)
    assert f"evidence `evaluated` of {short} says nothing of memory" in str(done.exception)
    done = asked(world)
    assert "1,000 MB are assumed, as the newest" in done.stderr

    name, envelope = tried(5, 200.0)
    append(world.remote, {name: envelope})
    done = asked(world, "--target", "2000/s", "--folder", "")
    told = parts(done.stdout)["StatefulSet"]
    kubernetes_validate.validate(told, "1.34", strict=True)
    (container,) = told["spec"]["template"]["spec"]["containers"]
    assert container["args"][container["args"].index("--processes") + 1] == "2", "2,000 × 1.25 ms at 70 % load: 4"
    assert container["args"][-2:] == ["--repository", REPOSITORY]
    assert int(container["resources"]["limits"]["memory"].removesuffix("Mi")) == pytest.approx(1049, abs=2)
    assert told["metadata"]["annotations"]["gitml/sizing"] == f"{short} 200 MB and 1,000 rows/s ({name})"


def test_a_repository_that_is_not_there_is_said_with_what_needs_none(tmp_path: Path) -> None:
    done = asked(World(tmp_path))
    assert isinstance(done.exception, OutsideError)
    assert "--size" in done.exception.hint
