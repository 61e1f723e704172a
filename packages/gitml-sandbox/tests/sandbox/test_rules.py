from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gitml_sandbox.forge import rules
from gitml_sandbox.forge.protections import Check, Checks, Protection, Reviews
from gitml_sandbox.forge.rules import Facts, Owned, Result, Review, judge

HEAD, OLD = "b" * 40, "a" * 40
AUTHOR, OLGA, RITA, STRANGER = 1, 2, 3, 4
FACTS = Facts(state="open", draft=False, author=AUTHOR, head=HEAD, last_pusher=AUTHOR, conflict=False, behind=False)


def rule(**reviews: object) -> Protection:
    return Protection(required_pull_request_reviews=Reviews.model_validate(reviews), enforce_admins=True)


def approve(who: int = OLGA, covers: str = HEAD, *, writer: bool = True, state: str = "APPROVED") -> Review:
    return Review(who, state, covers, writer)


def why(facts: Facts, protection: Protection | None) -> list[str]:
    return [r.message for r in judge(facts, protection).reasons]


def test_without_protection_only_the_state_counts() -> None:
    assert why(FACTS, None) == []
    assert len(why(replace(FACTS, draft=True, conflict=True), None)) == 2
    assert why(replace(FACTS, conflict=None), None) == [
        "Pull Request is not mergeable: its merge is still being computed"
    ]
    assert why(replace(FACTS, state="closed"), None) == ["Pull Request is not open"]


def test_only_the_newest_opinion_of_a_writer_counts() -> None:
    wanted = rule()
    assert why(replace(FACTS, reviews=(approve(),)), wanted) == []
    assert why(replace(FACTS, reviews=(approve(writer=False),)), wanted)
    assert why(replace(FACTS, reviews=(approve(AUTHOR),)), wanted)
    assert why(replace(FACTS, reviews=(approve(), approve(state="COMMENTED"))), wanted) == []
    assert why(replace(FACTS, reviews=(approve(), approve(state="DISMISSED"))), wanted)
    assert len(why(replace(FACTS, reviews=(approve(), approve(RITA, state="CHANGES_REQUESTED"))), wanted)) == 1
    assert why(replace(FACTS, reviews=(approve(RITA, state="CHANGES_REQUESTED"), approve(RITA))), wanted) == []
    assert why(replace(FACTS, reviews=(approve(), approve())), rule(required_approving_review_count=2))


def test_stale_and_last_push() -> None:
    old = replace(FACTS, reviews=(approve(covers=OLD),))
    assert why(old, rule()) == []
    assert why(old, rule(dismiss_stale_reviews=True))
    assert why(old, rule(require_last_push_approval=True))
    pushed = replace(FACTS, last_pusher=OLGA, reviews=(approve(),))
    assert why(pushed, rule()) == []
    assert why(pushed, rule(require_last_push_approval=True))
    assert why(replace(pushed, reviews=(approve(), approve(RITA))), rule(require_last_push_approval=True)) == []


def test_code_owners() -> None:
    wanted = rule(require_code_owner_reviews=True)
    owned = (Owned(("models/x.yaml",), ("@rita",), frozenset({RITA})),)
    assert "@rita for models/x.yaml" in why(replace(FACTS, owned=owned, reviews=(approve(),)), wanted)[0]
    assert why(replace(FACTS, owned=owned, reviews=(approve(RITA),)), wanted) == []
    nobody = (Owned(("x",), ("@ghost",), frozenset()),)
    assert why(replace(FACTS, owned=nobody, reviews=(approve(), approve(RITA))), wanted), "nobody can approve: shut"


def test_required_checks() -> None:
    bot = 9
    wanted = Protection(required_status_checks=Checks(strict=True, checks=(Check(context="ci", app_id=bot),)))

    def with_(*results: Result, behind: bool = False) -> list[str]:
        return why(replace(FACTS, results=results, behind=behind), wanted)

    assert with_() == ['Required status check "ci" is expected.']
    assert with_(Result("ci", "success", None)) == ['Required status check "ci" is expected.']
    assert with_(Result("ci", "success", bot)) == []
    assert with_(Result("ci", "success", bot), Result("ci", "failure", None)) == []
    assert with_(Result("ci", "success", bot), Result("ci", "pending", bot)) == [
        'Required status check "ci" is pending.'
    ]
    assert with_(Result("ci", "error", bot), Result("ci", "success", bot)) == []
    assert with_(Result("ci", "success", bot), Result("ci", "failure", bot, is_check_run=True))
    assert len(with_(Result("ci", "success", bot), behind=True)) == 1


def test_conclusions_of_check_runs() -> None:
    good = {"success", "neutral", "skipped", "failure", "cancelled", "timed_out", "action_required", None}
    passing = {c for c in good if rules.check_run_state("completed", c) == "success"}
    assert passing == {"success", "neutral", "skipped"}
    assert rules.check_run_state("in_progress", "success") == "pending"


def test_admins_pass_only_where_it_is_allowed() -> None:
    admin = replace(FACTS, bypass=True)
    assert why(admin, rule()) != []
    loose = rule().model_copy(update={"enforce_admins": False})
    assert why(admin, loose) == []
    assert judge(admin, loose).bypassed
    assert why(replace(admin, draft=True), loose) == ["Pull Request is still a draft"]
    assert why(replace(admin, conflict=True), loose)


reviews = st.lists(
    st.builds(
        Review,
        st.sampled_from([AUTHOR, OLGA, RITA, STRANGER]),
        st.sampled_from(["APPROVED", "CHANGES_REQUESTED", "COMMENTED", "DISMISSED"]),
        st.sampled_from([HEAD, OLD]),
        st.booleans(),
    ),
    max_size=8,
).map(tuple)
wanted_reviews = st.builds(
    Reviews,
    dismiss_stale_reviews=st.booleans(),
    require_last_push_approval=st.booleans(),
    required_approving_review_count=st.integers(0, 3),
)


@given(reviews, wanted_reviews, st.sampled_from([AUTHOR, OLGA]))
def test_what_is_open_is_open_for_good_reason(given_: tuple[Review, ...], wanted: Reviews, pusher: int) -> None:
    """Whatever was reviewed: an open gate means enough distinct writers other than the author, and no objection."""
    facts = replace(FACTS, reviews=given_, last_pusher=pusher)
    if judge(facts, Protection(required_pull_request_reviews=wanted)).allowed:
        newest = {r.reviewer: r for r in given_ if r.state != "COMMENTED"}
        good = {w for w, r in newest.items() if r.state == "APPROVED" and r.writer and w != AUTHOR}
        assert len(good) >= wanted.required_approving_review_count
        assert not any(r.state == "CHANGES_REQUESTED" and r.writer for r in newest.values())
        if wanted.require_last_push_approval:
            assert any(newest[w].covers == HEAD and w != pusher for w in good)
        if wanted.dismiss_stale_reviews and wanted.required_approving_review_count:
            assert sum(newest[w].covers == HEAD for w in good) >= wanted.required_approving_review_count


@given(reviews, wanted_reviews)
def test_an_approval_never_shuts_and_an_objection_never_opens(given_: tuple[Review, ...], wanted: Reviews) -> None:
    protection = Protection(required_pull_request_reviews=wanted)
    before = judge(replace(FACTS, reviews=given_), protection)
    more = judge(replace(FACTS, reviews=(*given_, approve(99))), protection)
    less = judge(replace(FACTS, reviews=(*given_, approve(98, state="CHANGES_REQUESTED"))), protection)
    assert not less.allowed
    assert more.allowed or not before.allowed
