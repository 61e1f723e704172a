"""Deployments: what an agent reports, and what people see of it on the forge."""

from __future__ import annotations

import json
from itertools import islice

from gitml.forges.governed import DeploymentState, ForgeDeployment, NewDeployment
from gitml.forges.rest import Rest, Shape
from gitml.forges.words import cut


class GithubDeployments:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def create(self, new: NewDeployment) -> ForgeDeployment:
        body = {
            "ref": new.commit,
            "environment": new.environment,
            "task": new.task,
            "description": cut(new.description),
            "payload": dict(new.payload),
            # What may be deployed is decided by signed evidence, and main is never merged into anything here.
            "auto_merge": False,
            "required_contexts": [],
        }
        # Twice does no harm: the newest counts.
        return _deployment(self._rest.one("POST", "deployments", body))

    def say(self, deployment: int, state: DeploymentState) -> DeploymentState:
        body = {"state": state.state, "description": cut(state.description)}
        body |= {"log_url": state.url} if state.url else {}
        # Several models share an environment: one that succeeds must not end the others.
        return _state(self._rest.one("POST", f"deployments/{deployment}/statuses", {**body, "auto_inactive": False}))

    def list(self, environment: str = "", task: str = "", *, most: int = 30) -> tuple[ForgeDeployment, ...]:
        asked = {k: v for k, v in {"environment": environment, "task": task}.items() if v}
        return tuple(_deployment(s) for s in islice(self._rest.pages("deployments", **asked), most))

    def states(self, deployment: int, *, most: int = 30) -> tuple[DeploymentState, ...]:
        pages = self._rest.pages(f"deployments/{deployment}/statuses")
        return tuple(_state(s) for s in islice(pages, most))


def _deployment(shape: Shape) -> ForgeDeployment:
    return ForgeDeployment(
        id=shape.number("id"),
        commit=shape.text("sha"),
        environment=shape.text("environment"),
        task=shape.text_or("task"),
        payload=shape.plain("payload") or _object(shape.text_or("payload")),
        created=shape.text_or("created_at"),
        by=shape.text_or("creator", "login"),
    )


def _object(text: str) -> dict[str, object]:
    """GitHub gives a payload back as it came: an object, or its text."""
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _state(shape: Shape) -> DeploymentState:
    return DeploymentState(
        state=shape.text("state"),
        description=shape.text_or("description"),
        url=shape.text_or("log_url") or shape.text_or("target_url"),
        created=shape.text_or("created_at"),
        by=shape.text_or("creator", "login"),
    )
