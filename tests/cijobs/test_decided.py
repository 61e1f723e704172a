"""What is merely not to be had is asked for again, and never signed for good."""

from __future__ import annotations

from typing import Any, cast

import pytest

from gitml.cijobs.decided import not_yet
from gitml.gate.judge import Judged
from gitml.gates.facts import Commit, Person, Unknown
from policy.kit import OLGA, case, facts, pull, version

AWAY = Unknown("the forge does not say: 502", later=True)


def judged(found: Any) -> Judged:
    return Judged(cast("Any", None), cast("Any", None), case=found)


@pytest.mark.parametrize(
    "found",
    [
        case(pull=AWAY),
        case(pull=pull(pushers=AWAY)),
        case(pull=pull(commits=AWAY)),
        case(pull=pull(reviews=AWAY)),
        case(facts=facts(candidate=version(authors=AWAY))),
        case(teams={"acme/ops": AWAY}),
    ],
    ids=["pull request", "pushes", "commits", "reviews", "lineage", "team"],
)
def test_a_fact_that_the_forge_did_not_give_just_now_is_asked_for_again(found: Any) -> None:
    assert not_yet(judged(found)) == AWAY.reason


@pytest.mark.parametrize(
    "found",
    [
        case(),
        case(pull=pull(reviews=())),
        case(pull=pull(commits=(Commit("d" * 40, (Person(email="x@y.z"),)),))),
        case(teams={"acme/ops": Unknown("the token may not see who is in acme/ops")}),
        case(facts=facts(candidate=version(authors=(Commit("c" * 40, (OLGA,)),)))),
    ],
    ids=["all is known", "nobody approved", "nobody claims the address", "a team that stays hidden", "a lineage"],
)
def test_what_is_known_to_be_so_is_signed_as_it_is(found: Any) -> None:
    assert not_yet(judged(found)) == ""
