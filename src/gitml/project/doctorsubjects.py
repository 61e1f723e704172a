"""Points of `gitml doctor` where people may ask to be erased: who finds them, and who signs that they are gone."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from gitml.ci.github.subjects import ENVIRONMENT, SIGNING
from gitml.ci.wanted import ERASURES_KEY
from gitml.errors import SpecError
from gitml.forges.base import Branch
from gitml.forges.governed import GovernedForge
from gitml.project.doctorpoint import Point
from gitml.project.doctorpolicy import asked, environment, runs_here, secret
from gitml.spec.application import Application
from gitml.spec.policy import POLICY, load_policy


def subject_environments(root: Path, application: Application) -> tuple[str, ...]:
    """Environments of the workflow gitml-subjects.yml; the second has nothing to sign where nobody is declared."""
    if application.subjects:
        return ENVIRONMENT, SIGNING
    try:
        keeps = (root / POLICY).is_file() and bool(load_policy(root).retention.periods)
    except SpecError:  # which other points say
        keeps = False
    return (ENVIRONMENT,) if keeps else ()


def forgetting(root: Path, application: Application, forge: GovernedForge, main: Branch) -> Iterator[Point]:
    """Nothing where nobody is declared and no traffic gets too old."""
    if not runs_here(application):
        return
    for name in subject_environments(root, application):
        yield from asked(f"environment {name}", partial(environment, forge, main, name))
    if application.subjects:
        key = application.subjects.key
        todo = f"gitml subject keygen NAME; what it prints becomes the secret {key} of the Environment {ENVIRONMENT}"
        yield from asked("keys of ids", lambda: secret(forge, ENVIRONMENT, key, "keys of ids", todo))
        yield from asked("key of erasures", lambda: secret(forge, SIGNING, ERASURES_KEY, "key of erasures"))
