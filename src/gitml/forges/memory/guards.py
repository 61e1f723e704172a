"""What guards a repository: Environments with their secrets, protection of branches, what jobs may do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gitml.forges.governed import ForgeCheck, ForgeEnvironment, Protection
from gitml.forges.memory.rules import pinned
from gitml.forges.memory.session import Session, refused


class MemoryGuards:
    def __init__(self, session: Session) -> None:
        self._session = session

    def environment(self, name: str) -> ForgeEnvironment | None:
        with self._session.turn() as state:
            return state.environments.get(name)

    def secrets(self, environment: str) -> tuple[str, ...]:
        with self._session.turn("write") as state:
            if environment and environment not in state.environments:
                raise refused(404, f"there is no Environment {environment}")
            return state.secrets.get(environment, ())

    def set_environment(self, name: str, branches: Sequence[str]) -> ForgeEnvironment:
        with self._session.turn("admin") as state:
            there = state.environments.get(name)
            patterns = tuple(dict.fromkeys((*((there and there.branches) or ()), *branches)))
            state.environments[name] = ForgeEnvironment(name, patterns)
            return state.environments[name]

    def protection(self, branch: str) -> Protection | None:
        with self._session.turn("admin") as state:
            return state.protections.get(branch) if self._session.host.head(branch) else None

    def protect(self, branch: str, wanted: Protection) -> Protection:
        with self._session.turn("admin") as state:
            if self._session.host.head(branch) is None:
                raise refused(404, f"there is no branch {branch}")
            there = state.protections.get(branch, Protection())
            state.protections[branch] = Protection(
                checks={**there.checks, **pinned(state, wanted.checks, there.checks)},
                pull_request=there.pull_request or wanted.pull_request,
                approvals=max(there.approvals, wanted.approvals),
                code_owners=there.code_owners or wanted.code_owners,
                dismiss_stale=there.dismiss_stale or wanted.dismiss_stale,
                last_push=there.last_push or wanted.last_push,
                admins=there.admins or wanted.admins,
                may_rewrite=there.may_rewrite and wanted.may_rewrite,
            )
            return state.protections[branch]

    def jobs_may_open(self) -> bool:
        with self._session.turn("admin") as state:
            return state.jobs_may_open

    def let_jobs_open(self, *, yes: bool) -> None:
        with self._session.turn("admin") as state:
            state.jobs_may_open = yes

    def own(self, schedules: Mapping[str, str], *, fix: bool = False) -> tuple[ForgeCheck, ...]:
        """Nothing."""
        return ()
