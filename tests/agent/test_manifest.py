"""Manifests for agents: what Kubernetes' own schema takes, and what they never allow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from gitml.agent.manifest import ManifestOrder, manifests, sized
from gitml.cli.agent import agent
from gitml.errors import UsageError

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
