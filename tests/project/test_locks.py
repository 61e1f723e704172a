"""What the locks pin can be installed beside gitml."""

from __future__ import annotations

from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
CI = "constraints/ci.txt"
LOCKS = (
    "pipelines/requirements.lock",
    "pipelines/requirements-torch.lock",
    "examples/starter/pipelines/requirements.lock",
)


def pins(lock: str) -> dict[str, list[Requirement]]:
    found: dict[str, list[Requirement]] = {}
    for line in (ROOT / lock).read_text(encoding="utf-8").splitlines():
        pin = Requirement(line)
        found.setdefault(pin.name, []).append(pin)
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_and_ci_pin_the_same_releases(lock: str) -> None:
    here, there = pins(lock), pins(CI)
    shared = [name for name in here if name in there]
    assert len(shared) > 5
    assert {n: {str(p.specifier) for p in here[n]} for n in shared} == {
        n: {str(p.specifier) for p in there[n]} for n in shared
    }


@pytest.mark.parametrize("lock", [CI, *LOCKS])
def test_celery_which_dvc_brings_takes_what_is_pinned(lock: str) -> None:
    asked = [Requirement(text) for text in requires("celery") or ()]
    (wanted,) = [one for one in asked if one.name == "python-dateutil"]
    (pinned,) = pins(lock)["python-dateutil"]
    assert wanted.specifier.contains(str(pinned.specifier).removeprefix("=="))
