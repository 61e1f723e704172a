"""Deployments: what an agent reports, and what people see of it on the forge.

GitLab has no place for a payload. A deployment of ``deploy:delay`` to ``staging`` goes to the environment
``staging/delay``, which pages show in a folder ``staging``; what is loaded and why stands in a discussion on its
commit, whose first note names the deployment and holds the payload, and whose replies are its states. Nothing of it is
believed: agents sign what they deploy.
"""

from __future__ import annotations

import json
import re
from itertools import islice

from gitml.forges.gitlab.words import utc
from gitml.forges.governed import DeploymentState, ForgeDeployment, NewDeployment
from gitml.forges.rest import Rest, Shape
from gitml.forges.words import cut
from gitml.http import HttpError

_PREFIX = "deploy:"
# A deployment begins as running, and no step leads back to that: what comes before its end is told by notes alone.
_RUNNING = "running"
_STATUS = {"queued": _RUNNING, "pending": _RUNNING, "in_progress": _RUNNING, "success": "success"}
_FIRST = re.compile(r"<!-- gitml:deployment (?P<id>\d+) (?P<task>\S+) (?P<payload>\{.*\}) -->")
_REPLY = re.compile(r"<!-- gitml:state (?P<state>[a-z_]+) (?P<url>\S*) -->\s*(?P<said>.*)", re.S)


class GitlabDeployments:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def create(self, new: NewDeployment) -> ForgeDeployment:
        ref = self._rest.one("GET", "").text("default_branch")
        body = {"environment": _place(new.environment, new.task), "sha": new.commit, "ref": ref, "tag": False}
        made = self._rest.one("POST", "deployments", {**body, "status": _RUNNING})
        number = made.number("id")
        payload = json.dumps(dict(new.payload), sort_keys=True).replace("--", "-\\u002d")
        words = f"<!-- gitml:deployment {number} {new.task} {payload} -->\n{cut(new.description) or new.task}"
        self._rest.call("POST", f"repository/commits/{new.commit}/discussions", {"body": words})
        return self._told(made)

    def say(self, deployment: int, state: DeploymentState) -> DeploymentState:
        there, status = self._rest.one("GET", f"deployments/{deployment}"), _STATUS.get(state.state, "failed")
        if status not in (_RUNNING, there.text("status")):
            self._rest.call("PUT", f"deployments/{deployment}", {"status": status})
        talk = self._talk(there)
        if talk is None:
            raise HttpError(f"what was said of deployment {deployment} is gone from its commit", "deploy it again")
        words = f"<!-- gitml:state {state.state} {state.url} -->\n{cut(state.description)}"
        path = f"repository/commits/{there.text('sha')}/discussions/{talk.text('id')}/notes"
        made = self._rest.one("POST", path, {"body": words})
        by, at = made.text_or("author", "username"), utc(made.text_or("created_at"))
        return DeploymentState(state.state, cut(state.description), state.url, at, by)

    def list(self, environment: str = "", task: str = "", *, most: int = 30) -> tuple[ForgeDeployment, ...]:
        exact = {"environment": _place(environment, task)} if environment and task else {}
        pages = self._rest.pages("deployments", order_by="id", sort="desc", **exact)
        found = (self._told(s) for s in pages)
        wanted = (d for d in found if environment in ("", d.environment) and task in ("", d.task))
        return tuple(islice(wanted, most))

    def states(self, deployment: int, *, most: int = 30) -> tuple[DeploymentState, ...]:
        talk = self._talk(self._rest.one("GET", f"deployments/{deployment}"))
        notes = talk.objects("notes")[1:] if talk else ()
        found = [state for note in reversed(notes) if (state := _state(note))]
        return tuple(found[:most])

    def _talk(self, deployment: Shape) -> Shape | None:
        """The discussion that began with this deployment, by the account that deployed."""
        number, by = deployment.number("id"), deployment.text_or("user", "username")
        for talk in self._rest.pages(f"repository/commits/{deployment.text('sha')}/discussions"):
            note = talk.objects("notes")[0]
            first = _FIRST.match(note.text_or("body"))
            if first and int(first["id"]) == number and note.text_or("author", "username") == by:
                return talk
        return None

    def _told(self, shape: Shape) -> ForgeDeployment:
        environment, _, task = shape.text("environment", "name").partition("/")
        talk = self._talk(shape)
        first = _FIRST.match(talk.objects("notes")[0].text_or("body")) if talk else None
        return ForgeDeployment(
            id=shape.number("id"),
            commit=shape.text("sha"),
            environment=environment,
            task=first["task"] if first else f"{_PREFIX}{task}" if task else "",
            payload=_object(first["payload"]) if first else {},
            created=utc(shape.text_or("created_at")),
            by=shape.text_or("user", "username"),
        )


def _place(environment: str, task: str) -> str:
    """The environment's name on GitLab, which takes no colon."""
    return f"{environment}/{task.removeprefix(_PREFIX).replace(':', '/')}" if task else environment


def _object(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _state(note: Shape) -> DeploymentState | None:
    found = _REPLY.match(note.text_or("body"))
    if found is None:
        return None
    said, by = found["said"].strip(), note.text_or("author", "username")
    return DeploymentState(found["state"], said, found["url"], utc(note.text_or("created_at")), by)
