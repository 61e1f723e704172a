"""Deployments: what an agent reports, and what people see of it on the forge."""

from __future__ import annotations

from dataclasses import replace

from gitml.forges.governed import DeploymentState, ForgeDeployment, NewDeployment
from gitml.forges.memory.session import Session, one_of, refused
from gitml.forges.words import cut


class MemoryDeployments:
    def __init__(self, session: Session) -> None:
        self._session = session

    def create(self, new: NewDeployment) -> ForgeDeployment:
        with self._session.turn("write") as state:
            commit = self._session.host.commit(new.commit)
            if commit is None:
                raise refused(422, f"no commit found for {new.commit}")
            number, now = state.number(), self._session.host.now()
            payload, by = dict(new.payload), self._session.person.login
            made = ForgeDeployment(number, commit, new.environment, new.task, payload, now, by)
            state.deployments[number] = made
            return made

    def say(self, deployment: int, state: DeploymentState) -> DeploymentState:
        with self._session.turn("write") as known:
            one_of(known.deployments, deployment, "deployment")
            now, by = self._session.host.now(), self._session.person.login
            said = replace(state, description=cut(state.description), created=now, by=by)
            known.deployment_states.setdefault(deployment, []).append(said)
            return said

    def list(self, environment: str = "", task: str = "", *, most: int = 30) -> tuple[ForgeDeployment, ...]:
        with self._session.turn() as state:
            newest = sorted(state.deployments.values(), key=lambda d: -d.id)
            found = [d for d in newest if environment in ("", d.environment) and task in ("", d.task)]
            return tuple(found[:most])

    def states(self, deployment: int, *, most: int = 30) -> tuple[DeploymentState, ...]:
        with self._session.turn() as state:
            one_of(state.deployments, deployment, "deployment")
            return tuple(reversed(state.deployment_states.get(deployment, [])))[:most]
