"""``gitml doctor --fix``: asks of the forge what the policy needs. Nothing is ever loosened, twice is as once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from gitml.ci.github.gate import ENVIRONMENT
from gitml.ci.github.monitor import LOOKS as SIGNING
from gitml.ci.github.monitor import TRAFFIC
from gitml.errors import UsageError
from gitml.forges.governed import GovernedForge, Protection
from gitml.git.ledger import BRANCH as LEDGER
from gitml.git.ledger import LOOKS
from gitml.http import HttpError
from gitml.project.doctorforge import wanted_schedules
from gitml.project.doctorlooks import signs_looks
from gitml.project.doctorpoint import Mark, Point
from gitml.project.doctorpolicy import contexts_of, wanted
from gitml.project.doctorsubjects import subject_environments
from gitml.spec.application import Application
from gitml.spec.policy import POLICY


def mend(root: Path, application: Application, forge: GovernedForge) -> list[Point]:
    """A point for each thing that was set or could not be; what a person must do is said by the other points.

    Raises UsageError where there is no policy to fit the forge to.
    """
    if not (root / POLICY).is_file():
        raise UsageError(f"there is no {POLICY}, so there is nothing to set", "write one, or call this without --fix")
    return [point for point in _mend(root, application, forge) if point is not None]


def _mend(root: Path, application: Application, forge: GovernedForge) -> Iterator[Point | None]:
    main, guards = forge.about().default_branch, forge.guards

    def environment(name: str) -> bool:
        return guards.environment(name) != guards.set_environment(name, [main])

    def protection() -> bool:
        return guards.protection(main) != guards.protect(main, wanted(contexts_of(root, application)))

    def added_to(branch: str) -> bool:
        return guards.protection(branch) != guards.protect(branch, Protection())

    def proposing() -> bool:
        if guards.jobs_may_open():
            return False
        guards.let_jobs_open(yes=True)
        return True

    looks = (TRAFFIC, SIGNING) if signs_looks(root) else ()
    for name in (ENVIRONMENT, *looks, *subject_environments(root, application)):
        yield _did(f"the Environment {name} is for {main} alone", partial(environment, name))
    if forge.commits.branch(main) is not None:
        yield _did(f"{main} asks for what the policy needs", protection)
    for branch in (LEDGER, LOOKS):
        if forge.commits.branch(branch) is not None:
            yield _did(f"{branch} is only ever added to", partial(added_to, branch))
    yield _did("schedules, and who may set variables of pipelines", partial(_own, root, forge))
    if not application.ci.app:
        yield _did("jobs may open pull requests", proposing)


def _own(root: Path, forge: GovernedForge) -> bool:
    """Whether what only this forge needs is otherwise now."""
    wanted = wanted_schedules(root)
    return forge.guards.own(wanted) != forge.guards.own(wanted, fix=True)


def _did(what: str, change: Callable[[], bool]) -> Point | None:
    try:
        return Point("fixed", Mark.OK, what) if change() else None
    except HttpError as exc:
        if exc.status not in (401, 403, 404, 422):
            raise
        return Point("not fixed", Mark.MISSING, f"{what}: {exc.message}", exc.hint or "call this as an administrator")
