from __future__ import annotations

import dataclasses
import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml.gates.facts import Commit, Person, Unknown
from gitml.policy import approvals
from gitml.policy.approvals import Approvals
from gitml.policy.change import Move
from gitml.policy.decision import decide
from gitml.policy.facts import Case, CountedReview
from gitml.policy.matching import assign
from gitml.policy.people import same
from gitml.spec.deployment import Canary, Deployment
from gitml.verdict import Phase
from policy.kit import (
    ADA,
    BOB,
    BOT,
    HEAD,
    NEW,
    NEW_FILE,
    OLD,
    OLD_FILE,
    OLGA,
    RITA,
    case,
    facts,
    pin,
    proof,
    pull,
    review,
    rules,
    version,
)


def judged(found: Case | None = None, *, policy: Any = None, **changes: Any) -> Approvals:
    """For changes of the pull request."""
    return approvals.judge(policy or rules(), found or case(pull=pull(**changes)), Move.PROMOTION)


def why(found: Approvals, login: str) -> str:
    return next(h.reason for h in found.heard if h.person.login == login)


def test_one_of_each_role() -> None:
    found = judged()
    assert found.phase is Phase.SUCCESSFUL
    assert {h.person.login: h.seat for h in found.heard} == {"olga": "operations", "rita": "risk"}


def test_who_still_has_to_is_named() -> None:
    found = judged(reviews=(review(OLGA),))
    assert found.phase is Phase.INCONCLUSIVE
    assert [(s.role, s.missing, [p.login for p in s.could]) for s in found.seats] == [
        ("operations", 0, ["bob"]),
        ("risk", 1, ["rita"]),
    ]


def test_an_approval_of_an_older_commit_does_not_count() -> None:
    found = judged(reviews=(review(OLGA), review(RITA, commit="b" * 40)))
    assert found.phase is Phase.INCONCLUSIVE
    assert "the head is aaaaaaaa" in why(found, "rita")


@pytest.mark.parametrize("state", ["COMMENTED", "PENDING", "commented"])
def test_a_comment_later_changes_nothing(state: str) -> None:
    assert judged(reviews=(review(OLGA), review(RITA), review(RITA, state, minutes=5))).phase is Phase.SUCCESSFUL


def test_what_comes_last_decides() -> None:
    back = review(RITA, "DISMISSED", minutes=5)
    assert judged(reviews=(review(OLGA), review(RITA), back)).phase is Phase.INCONCLUSIVE
    against = review(RITA, "CHANGES_REQUESTED", minutes=5)
    assert judged(reviews=(review(OLGA), review(RITA), against)).phase is Phase.FAILED
    again = review(RITA, minutes=9)
    assert judged(reviews=(review(OLGA), review(RITA), against, again)).phase is Phase.SUCCESSFUL
    # the forge's order is not that of time
    assert judged(reviews=(again, against, review(OLGA), review(RITA))).phase is Phase.SUCCESSFUL


def test_an_objection_of_one_who_may_decide_stands_though_others_approve() -> None:
    found = judged(reviews=(review(OLGA), review(RITA), review(BOB, "CHANGES_REQUESTED", commit="b" * 40)))
    assert found.phase is Phase.FAILED
    assert "bob asks for changes" in found.reason
    outsider = review(Person("mallory", 66), "CHANGES_REQUESTED")
    assert judged(reviews=(review(OLGA), review(RITA), outsider)).phase is Phase.SUCCESSFUL


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"author": RITA}, "the author of the pull request"),
        ({"pushers": (BOT, RITA, ADA)}, "who pushed to its branch"),
        ({"asked_by": (RITA,)}, "who made the bot open the pull request"),
        ({"commits": (Commit("d" * 40, (BOT, RITA)),)}, "author, committer or co-author of the commit dddddddd"),
        ({"author": Person("RiTa")}, "the author of the pull request"),
        ({"author": Person("renamed", 3)}, "the author of the pull request"),
    ],
)
def test_nobody_approves_what_they_made(changes: dict[str, Any], said: str) -> None:
    found = judged(**changes)
    assert found.phase is Phase.INCONCLUSIVE
    assert said in why(found, "rita")


def test_nobody_approves_the_model_that_they_trained() -> None:
    made = version(authors=(Commit("c" * 40, (ADA,)), Commit("d" * 40, (ADA, RITA))))
    found = judged(case(facts=facts(candidate=made)))
    assert "lineage commit dddddddd" in why(found, "rita")
    signed = facts(candidate=version(), proofs=(proof("trained", by="Rita"),))
    assert "who trained" in why(judged(case(facts=signed)), "rita")


@pytest.mark.parametrize(
    "changes",
    [
        {"author": Unknown("the forge did not say")},
        {"pushers": Unknown("the forge did not say")},
        {"pushers": (BOT, Person())},
        {"pushers": ()},
        {"asked_by": ()},
        {"asked_by": (BOT,)},
        {"commits": Unknown("more than 250")},
        {"commits": (Commit("d" * 40, ()),)},
        {"commits": (Commit("d" * 40, (Person(email="who@example.com"),)),)},
    ],
)
def test_where_it_is_not_known_who_made_it_nobodys_approval_is_safe(changes: dict[str, Any]) -> None:
    found = judged(**changes)
    assert found.phase is Phase.INCONCLUSIVE
    assert "known" in found.reason or "no account claims" in found.reason


def test_an_address_that_nobody_claims_is_told_before_anybody_approves_with_what_to_do() -> None:
    stranger = (Commit("d" * 40, (Person(email="me@home.example"),)),)
    found = decide(rules(), case(pull=pull(commits=stranger, reviews=())))
    first = found.next_steps[0]
    assert "before anybody approves" in first.what
    assert "me@home.example" in first.what
    assert "adds the address to an account" in first.what


def test_what_the_bot_derived_was_made_by_nobody_and_the_roles_decide() -> None:
    """A schedule opened it: no person asked, and each commit follows from main and a statement."""
    made = {"asked_by": (), "pushers": (BOT,), "commits": (Commit("d" * 40, (BOT,)),)}
    assert judged(**made).phase is Phase.INCONCLUSIVE
    assert judged(**made, derived="retrain from 1234").phase is Phase.SUCCESSFUL
    # A person who pushed to it as well is one of its makers all the same.
    pushed = {**made, "pushers": (RITA, BOT), "derived": "retrain from 1234"}
    assert "who pushed" in why(judged(**pushed), "rita")


AGENTS = {"accounts": ["coder"], "addresses": ["noreply@coder.example"], "trailers": ["Started-by"]}
CODER, HELPER = Person("Coder", 50), Person(email="noreply@coder.example")


def test_a_coding_agent_s_review_never_counts_for_or_against() -> None:
    policy = rules(agents=AGENTS, roles={"operations": {"people": ["olga", "coder"]}, "risk": {"people": ["rita"]}})
    found = judged(policy=policy, reviews=(review(CODER), review(RITA)))
    assert found.phase is Phase.INCONCLUSIVE
    assert why(found, "Coder") == "a coding agent's review never counts"
    against = (review(OLGA), review(RITA), review(CODER, "CHANGES_REQUESTED"))
    assert judged(policy=policy, reviews=against).phase is Phase.SUCCESSFUL


def test_who_started_a_coding_agent_is_an_author_of_what_it_made() -> None:
    policy = rules(agents=AGENTS)
    by_agent = Commit("d" * 40, (CODER, HELPER), (RITA,))
    found = judged(policy=policy, commits=(by_agent,))
    assert "who started what made the commit dddddddd" in why(found, "rita") or "made the bot" in why(found, "rita")
    version_of_agent = version(authors=(by_agent,))
    assert "lineage commit dddddddd" in why(
        judged(case(facts=facts(candidate=version_of_agent)), policy=policy), "rita"
    )
    # Ada let it help: its address is nobody's account, and that keeps no approval from counting.
    helped = Commit("d" * 40, (ADA, HELPER))
    assert judged(policy=policy, commits=(helped,)).phase is Phase.SUCCESSFUL
    assert judged(commits=(helped,)).phase is Phase.INCONCLUSIVE


@pytest.mark.parametrize(
    "changes",
    [
        {"commits": (Commit("d" * 40, (CODER,)),)},
        {"commits": (Commit("d" * 40, (HELPER,), (BOT,)),)},
        {"author": CODER, "asked_by": ()},
        {"pushers": (CODER,), "asked_by": ()},
        {"author": CODER, "asked_by": (CODER,)},
    ],
)
def test_an_agent_that_nobody_is_known_to_have_started_is_approved_by_nobody(changes: dict[str, Any]) -> None:
    found = judged(policy=rules(agents=AGENTS), **changes)
    assert found.phase is Phase.INCONCLUSIVE
    assert "is not known" in found.reason


@pytest.mark.parametrize("authors", [Unknown("shallow clone"), (Commit("d" * 40, (Person(email="x@y.z"),)),)])
def test_a_lineage_of_somebody_unknown_is_not_safe_either(authors: Any) -> None:
    assert judged(case(facts=facts(candidate=version(authors=authors)))).phase is Phase.INCONCLUSIVE


def test_unknown_reviews_and_no_pull_request() -> None:
    assert judged(reviews=Unknown("502")).phase is Phase.INCONCLUSIVE
    found = judged(case(pull=Unknown("a preview without a forge")))
    assert found.phase is Phase.INCONCLUSIVE
    assert [s.missing for s in found.seats] == [1, 1]


def test_login_in_other_case_is_the_same_person() -> None:
    assert judged(reviews=(review(OLGA), review(Person("RITA", 3)))).phase is Phase.SUCCESSFUL
    two = rules(environments={"production": {"approvals": {"operations": 2}}})
    both = (review(OLGA), review(Person("OLGA", None)))
    assert judged(policy=two, reviews=both).phase is Phase.INCONCLUSIVE
    renamed = (review(OLGA), review(Person("olga-new", 2)))
    assert judged(policy=two, reviews=renamed).phase is Phase.INCONCLUSIVE


def test_where_policy_gives_an_id_the_login_alone_is_nothing() -> None:
    two = rules(environments={"production": {"approvals": {"operations": 2}}})
    assert judged(policy=two, reviews=(review(OLGA), review(BOB))).phase is Phase.SUCCESSFUL
    for other in (Person("bob", 5), Person("bob", None)):
        assert judged(policy=two, reviews=(review(OLGA), review(other))).phase is Phase.INCONCLUSIVE
    assert judged(policy=two, reviews=(review(OLGA), review(Person("robert", 4)))).phase is Phase.SUCCESSFUL


def test_a_role_that_is_taken_away_is_gone() -> None:
    roles = {"operations": {"people": ["olga"]}, "risk": {"people": ["sam"]}}
    found = judged(policy=rules(roles=roles))
    assert found.phase is Phase.INCONCLUSIVE
    assert "does not hold the role" in why(found, "rita")


def test_bots_approve_nothing() -> None:
    roles = {"operations": {"people": ["olga"]}, "risk": {"people": ["gitml[bot]".replace("[bot]", "-bot")]}}
    bot = Person("gitml-bot", 98, bot=True)
    found = judged(policy=rules(roles=roles), reviews=(review(OLGA), review(bot)))
    assert "a bot approves nothing" in why(found, "gitml-bot")


# one person, two roles


BOTH = {"operations": {"people": ["rita", "olga"]}, "risk": {"people": ["rita"]}}


def test_one_person_with_two_roles_counts_once() -> None:
    found = judged(policy=rules(roles=BOTH), reviews=(review(RITA),))
    assert found.phase is Phase.INCONCLUSIVE
    assert sum(s.missing for s in found.seats) == 1


def test_whoever_holds_two_roles_takes_the_seat_that_nobody_else_can() -> None:
    for order in itertools.permutations([review(RITA), review(OLGA, minutes=3)]):
        found = judged(policy=rules(roles=BOTH), reviews=order)
        assert found.phase is Phase.SUCCESSFUL
        assert {h.person.login: h.seat for h in found.heard} == {"olga": "operations", "rita": "risk"}


# teams


TEAMS = {"operations": {"teams": ["acme/ops"]}, "risk": {"people": ["rita"]}}


def test_members_of_a_team_hold_its_role() -> None:
    here = case(teams={"Acme/Ops": (Person("Olga", 2),)})
    assert judged(here, policy=rules(roles=TEAMS)).phase is Phase.SUCCESSFUL
    taken_over = case(teams={"acme/ops": (Person("olga", 77),)})
    assert judged(taken_over, policy=rules(roles=TEAMS)).phase is Phase.INCONCLUSIVE


@pytest.mark.parametrize("teams", [{}, {"acme/ops": Unknown("the token may not see it")}])
def test_a_team_whose_members_are_not_known_fills_no_seat(teams: Any) -> None:
    found = judged(case(teams=teams), policy=rules(roles=TEAMS))
    assert found.phase is Phase.INCONCLUSIVE
    assert found.seats[0].unknown == ("acme/ops",)
    assert "not known" in why(found, "olga")


# properties


PEOPLE = [OLGA, RITA, BOB, ADA, Person("mallory", 66), Person("OLGA", None), Person("rita", 33), BOT]
STATES = ["APPROVED", "CHANGES_REQUESTED", "DISMISSED", "COMMENTED"]
reviews_of = st.lists(
    st.builds(
        review,
        st.sampled_from(PEOPLE),
        st.sampled_from(STATES),
        st.sampled_from([HEAD, "b" * 40]),
        st.integers(0, 50),
    ),
    max_size=8,
)


@given(reviews_of, st.data())
def test_one_more_review_that_does_not_count_opens_nothing(reviews: list[CountedReview], data: st.DataObject) -> None:
    policy = rules(roles={**BOTH, "data-science": {"people": ["ada"]}})
    before = judged(policy=policy, reviews=tuple(reviews))
    outsider = data.draw(st.sampled_from([Person("mallory", 67), Person("eve"), BOT, Person()]))
    late = data.draw(st.integers(51, 60))
    extra = data.draw(
        st.sampled_from(
            [
                review(outsider, "APPROVED", minutes=late),
                review(RITA, "COMMENTED", minutes=late),
                review(ADA, "APPROVED", minutes=late),
            ]
        )
    )
    after = judged(policy=policy, reviews=(*reviews, extra))
    assert before.phase is Phase.SUCCESSFUL or after.phase is not Phase.SUCCESSFUL


@given(reviews_of)
def test_whatever_opens_it_is_distinct_people_who_approve_the_head(reviews: list[CountedReview]) -> None:
    found = judged(reviews=tuple(reviews))
    seated = [p for s in found.seats for p in s.filled]
    assert all(not same(a, b) for a, b in itertools.combinations(seated, 2))
    assert all(any(r.person == p and r.commit == HEAD and r.state == "APPROVED" for r in reviews) for p in seated)
    if found.phase is Phase.SUCCESSFUL:
        assert len(seated) == 2
        # taking any one of them away shuts it, unless somebody else could sit there
        for person in seated:
            left = [r for r in reviews if not same(r.person, person)]
            counting = [h for h in judged(reviews=tuple(left)).heard if h.counts]
            assert judged(reviews=tuple(left)).phase is not Phase.SUCCESSFUL or len(counting) >= 2


@given(reviews_of, st.randoms())
def test_the_order_of_reviews_of_different_people_does_not_matter(reviews: list[CountedReview], random: Any) -> None:
    timed = [dataclasses.replace(r, time=review(OLGA, minutes=i).time) for i, r in enumerate(reviews)]
    mixed = list(timed)
    random.shuffle(mixed)
    assert judged(reviews=tuple(mixed)) == judged(reviews=tuple(timed))


@given(
    st.dictionaries(st.sampled_from("abc"), st.integers(1, 2), min_size=1),
    st.lists(st.lists(st.sampled_from("abc"), unique=True, max_size=3), max_size=5),
)
def test_the_matching_is_the_largest_there_is(seats: dict[str, int], roles: list[list[str]]) -> None:
    found = assign(seats, roles)
    assert all(role in roles[person] for person, role in found.items())
    assert all(list(found.values()).count(role) <= count for role, count in seats.items())
    options = [[None, *(r for r in mine if r in seats)] for mine in roles]
    largest = max(
        sum(role is not None for role in chosen)
        for chosen in itertools.product(*options)
        if all(chosen.count(role) <= count for role, count in seats.items())
    )
    assert len(found) == largest


ASKED = {"raise": {"operations": 1}, "take-back": {"risk": 1}, "promote": {"operations": 2}}


def of_canary(weight: float | None, **more: Any) -> Deployment:
    canary = Canary(version=NEW, digest=NEW_FILE, weight=weight) if weight else None
    return Deployment(champion=pin(OLD, OLD_FILE), canary=canary, **more)


@pytest.mark.parametrize(
    ("new", "roles"),
    [
        (of_canary(50), {"operations": 1}),
        (of_canary(None), {"risk": 1}),
        (Deployment(champion=pin()), {"operations": 2}),
        (
            Deployment(champion=pin(), canary=Canary(version="20260101T000000Z-00000000", digest="3" * 64, weight=9)),
            None,
        ),
    ],
)
def test_the_bot_s_own_change_of_a_candidate_needs_what_policy_says_of_it(
    new: Deployment, roles: dict[str, int] | None
) -> None:
    everybody = {"operations": 1, "risk": 1}
    some = rules(environments={"production": {"approvals": everybody, "canary": {"approvals": ASKED}}})
    one = case(old=of_canary(10), new=new, pull=pull(derived="raise from aaaaaaaaaaaa"))
    seats = {s.role: s.needed for s in decide(some, one).approvals.seats}
    assert seats == (roles or everybody)
    by_hand = decide(some, replace(one, pull=pull())).approvals.seats
    assert {s.role: s.needed for s in by_hand} == (
        everybody if new.canary or roles == {"operations": 2} else {"operations or risk": 1}
    )
