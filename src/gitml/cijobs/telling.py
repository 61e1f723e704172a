"""What jobs say on pull requests: comments that stay up to date, as one account, with pictures that the forge shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.errors import GitmlError
from gitml.forges.base import OnPull, State, Status
from gitml.forges.job import ForgeJob
from gitml.git.assets import BRANCH as ASSETS
from gitml.git.assets import address_of, push_pictures
from gitml.publishing.posting import Publisher, post
from gitml.publishing.sticky import Age, Stamp, Sticky
from gitml.publishing.whoami import login_of
from gitml.registry.deploymentpast import Past
from gitml.registry.resolve import deployment_path
from gitml.spec import parse_deployment

CONTEXT = "gitml/monitor"
T = TypeVar("T")


@dataclass(frozen=True)
class Teller:
    """``env``: the PATH on which cml is looked for, and secrets by their names."""

    place: Place
    main: Mainline
    job: ForgeJob
    env: Mapping[str, str]

    @cached_property
    def application(self) -> str:
        return self.main.application().application

    @cached_property
    def me(self) -> str:
        """The account of this job."""
        status = Status(CONTEXT, State.SUCCESS, "looks are told", self.job.run_url)
        return login_of(self.place.forge, self.main.commit, status, self.place.say)

    def stick(self, pull: int, key: str, text: str) -> str:
        """Keep the one comment ``key``: posted, updated, unchanged or superseded."""
        place = self.place
        sticky = self._sticky(key, text)
        publisher = Publisher(self.main.application().publisher, place.settings, place.say, self.env.get("PATH"))
        age = Age(place.forge.commits, self.main.commit, {})
        posted, _ = post(publisher, place.forge.comments, OnPull(pull), sticky, age)
        return posted.how

    def has(self, pull: int, key: str) -> bool:
        """Whether the comment ``key`` was posted there."""
        sticky = self._sticky(key, "")
        return any(sticky.owns(comment) for comment in self.place.forge.comments.list(OnPull(pull)))

    def brought(self, model: str, environment: str, version: str) -> tuple[int, ...]:
        """The pull request that made a version champion last; none where it was pushed, or never was."""
        path, commit = deployment_path(model, environment), ""
        for past in self.main.history(path):
            if _champion(past) == version:
                commit = past.commit
            elif commit:
                break
        found = self.place.forge.pulls.of_commit(commit) if commit else ()
        pulls = [pull.number for pull in found if pull.is_merged and pull.base.branch == self.place.branch]
        if not pulls:
            self.place.say(f"no pull request brought {model} {version} to {environment}")
        return tuple(pulls[:1])

    def _sticky(self, key: str, text: str) -> Sticky:
        return Sticky(key, text, Stamp(self.main.commit, self.job.run, self.job.attempt), self.me)

    def shown(self, text: str, pictures: Mapping[str, bytes]) -> str:
        """With addresses in place of the pictures' names; without the pictures, where they cannot be pushed."""
        if not pictures:
            return text
        try:
            places = {name: address_of(name, content) for name, content in pictures.items()}
            push_pictures(self.place.remote, {places[name]: raw for name, raw in pictures.items()})
        except GitmlError as exc:
            self.place.say(f"the report goes without pictures: {exc.message}")
            places = {}
        for name in pictures:
            where = places.get(name)
            image = re.compile(rf"!\[([^\]\n]*)\]\({re.escape(name)}\)")
            address = self.place.settings.page(f"raw/{ASSETS}/{where}")
            text = image.sub(rf"![\1]({address})" if where else "", text)
        return text


def _champion(past: Past) -> str:
    try:
        return parse_deployment(past.content or b"", "deployment").champion.version
    except (GitmlError, ValueError):
        return ""


def tried(call: Callable[[], T | None], problems: list[str]) -> Iterator[T]:
    """What the call gives, if anything; what went wrong joins the problems."""
    try:
        found = call()
    except GitmlError as exc:
        problems.append(exc.message.splitlines()[0])
        return
    if found is not None:
        yield found
