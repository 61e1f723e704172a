"""`gitml override`: who may, what it opens, and what is never signed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from gitml.errors import FailedError, GitmlError, UsageError
from gitml.evidence.keys import generate, signing_key
from gitml.forges.base import State
from gitml.promotion.override import Overridden, OverrideOrder, override
from gitml.registry.record import Record
from gitml.spec import Deployment, render_deployment
from promotion.gating import Gated
from promotion.promoting import NOW, MemoryTown, pin

pytestmark = pytest.mark.slow

STAGING = "models/delay/staging.yaml"
RULE = {"role": "risk", "people": 2, "lasts": "7d"}
STRICT = {"description": "x", "approvals": {"operations": 1}, "gates": {"size": "1MB"}}


@dataclass
class Scene:
    """A promotion of a model that is too large, and people with keys of their own."""

    g: Gated[MemoryTown]
    number: int
    version: Record
    secret: dict[str, str]

    def override(self, login: str, *gates: str, key: str = "", **more: Any) -> Overridden:
        signer = signing_key(key or self.secret[login])
        order = OverrideOrder(self.number, gates or ("size",), more.pop("reason", "the holiday week"), signer, **more)
        with self.g.town.place(login) as place:
            return override(place, order)

    def refused(self, login: str, *gates: str, **more: Any) -> GitmlError:
        with pytest.raises(GitmlError) as caught:
            self.override(login, *gates, **more)
        assert self.g.results("overridden") == [], "what cannot count is not signed"
        return caught.value


@pytest.fixture
def scene(new_gated_here: Callable[..., Gated[MemoryTown]]) -> Callable[..., Scene]:
    def build(**changes: Any) -> Scene:
        g = new_gated_here()
        pairs = {login: generate() for login in ("ada", "olga", "rita", "eve")}
        owned = {f"{login}-risk": own(public, login) for login, (_, public) in pairs.items()}
        rules = {
            "roles": {"operations": {"people": ["olga"]}, "risk": {"people": ["ada", "olga", "rita"]}},
            "environments": {"staging": STRICT},
            "keys": {**g.policy["keys"], **owned},
            "override": RULE,
            **changes,
        }
        g.rules(**{name: value for name, value in rules.items() if value is not None})
        version, number = g.ready()
        return Scene(g, number, version, {login: secret for login, (secret, _) in pairs.items()})

    return build


def own(public: str, login: str) -> dict[str, Any]:
    return {"public": public, "owner": login, "purposes": ["overridden"], "from": "2026-01-01"}


def test_two_people_of_the_role_open_a_gate_one_does_not(scene: Callable[..., Scene]) -> None:
    s = scene()
    s.g.approve(s.number)
    assert s.g.one(s.number).state is State.FAILURE
    first = s.override("rita", "size", "size")
    assert (first.by, first.open, first.now and first.now.gates) == ("rita", False, ())
    assert first.until == NOW + timedelta(days=7), "as long as policy.yaml allows"
    assert first.waits, "the repository has no workflow to start: it says why nobody looks right now"
    bound_to_this_change(s, first)
    assert s.g.one(s.number).state is State.FAILURE
    second = s.override("olga", reason="agreed with Rita", until=timedelta(days=2))
    assert second.open
    assert second.now is not None
    assert (second.now.gates, set(second.now.by)) == (("size",), {"rita", "olga"})
    assert second.until == second.now.until == NOW + timedelta(days=2)
    assert s.g.one(s.number).state is State.SUCCESS
    (comment,) = s.g.comments(s.number)
    assert all(word in comment for word in ("Overridden", "rita", "olga", "the holiday week", "overridden (failed)"))
    s.g.town.now = NOW + timedelta(days=2)
    assert s.g.one(s.number).state is State.FAILURE, "an override ends"


@pytest.mark.nightly
def test_what_begins_anew_takes_no_override_along_and_can_be_overridden_again(scene: Callable[..., Scene]) -> None:
    s = scene()
    for login in ("rita", "olga"):
        done = s.override(login)
    assert done.open is False, "nobody has approved it"
    again = s.g.town.promote(s.version, anew=True)
    assert again.closed == (s.number,)
    s.number = again.pull.number
    s.g.approve(s.number)
    assert s.g.one(s.number).state is State.FAILURE, "people overrode another pull request"
    assert [s.override(login).open for login in ("rita", "olga")] == [False, True]
    assert s.g.one(s.number).state is State.SUCCESS


def bound_to_this_change(s: Scene, done: Overridden) -> None:
    (event,) = s.g.events("overridden")
    assert event.statement is not None
    about, details = event.statement.binding, event.statement.details
    assert (about.by, about.pull, about.environment) == ("rita", s.number, "staging")
    assert (about.version, about.head) == (s.version.version, s.g.head(s.number))
    assert about.change is not None
    assert about.change.path == "models/delay/staging.yaml"
    assert (details["gates"], details["reason"]) == (["size"], "the holiday week")
    assert datetime.fromisoformat(details["until"]) == done.until


NEVER_COUNTS: list[tuple[str, dict[str, Any], str]] = [
    ("approvals", {}, "approvals is never overridden"),
    ("artifact", {}, "artifact is never overridden"),
    ("format", {}, "the gate format is not shut"),
    ("size", {"until": timedelta(days=8)}, "longer than policy.yaml allows"),
    ("size", {"until": NOW}, "is over already"),
]


def test_what_could_never_count_is_not_signed(scene: Callable[..., Scene]) -> None:
    s = scene()
    own_work = s.refused("ada")
    assert isinstance(own_work, FailedError)
    assert "ada may not override this: ada is " in own_work.message
    assert "does not hold the role risk" in s.refused("eve").message
    assert "does not know this key" in s.refused("rita", key=generate()[0]).message
    assert "sign other things only" in s.refused("rita", key=s.g.secret).message
    for gate, more, said in NEVER_COUNTS:
        refused = s.refused("rita", gate, **more)
        assert isinstance(refused, UsageError)
        assert said in refused.message
        assert refused.hint
    s.g.rules(override={"role": "risk", "people": 2})
    assert "needs an end" in s.refused("rita").message
    s.g.policy.pop("override")
    s.g.rules()
    assert "lets nobody override" in s.refused("rita").message


def test_only_an_open_promotion_has_something_to_override(scene: Callable[..., Scene]) -> None:
    s = scene()
    s.g.town.close(s.number)
    assert "is closed" in s.refused("rita").message
    s.number = s.g.pull({"README.md": "better\n"})
    assert "is not a promotion" in s.refused("rita").message
    s.number = s.g.pull({STAGING: render_deployment(Deployment(champion=pin(s.version))), "train.py": "x\n"}, "mix")
    assert "may not be merged at all" in s.refused("rita").message
