"""Who pushed to the branch of a pull request, out of what the forge remembers of all branches of that name."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gitml.forges.governed import Account, PullCommit, Pushed
from gitml.gate.people import by_login, co_authors, commit_of, person_from, person_to, pushers
from gitml.gates.facts import Person, Unknown

ADA, EVE, OLGA = Account("ada", 1), Account("eve", 2), Account("olga", 3)
MAIN, FIRST, HEAD, OTHER, NONE = "a" * 40, "b" * 40, "c" * 40, "d" * 40, "0" * 40


def pushed(by: Account, before: str, after: str, minute: int, kind: str = "push") -> Pushed:
    return Pushed(by, before, after, f"2026-11-25T12:{minute:02}:00Z", kind)


# Eve wrote it and pushed it under Ada's name; Ada took main in.
BRANCH = (pushed(ADA, FIRST, HEAD, 2), pushed(EVE, NONE, FIRST, 1, "branch_creation"))
MERGED = datetime(2026, 11, 25, 12, 10, tzinfo=UTC)


def who(*pushes: Pushed, until: datetime | None = None) -> list[str]:
    found = pushers(pushes, HEAD, lambda commit: commit == MAIN, until)
    assert not isinstance(found, Unknown), found
    return [person.login for person in found]


def test_whoever_pushed_before_the_last_one_counts_too() -> None:
    assert who(*BRANCH) == ["ada", "eve"]


@pytest.mark.parametrize(
    "later",
    [
        (pushed(EVE, HEAD, NONE, 11, "branch_deletion"),),
        (pushed(EVE, NONE, OTHER, 12, "branch_creation"), pushed(EVE, HEAD, NONE, 11, "branch_deletion")),
        (pushed(EVE, HEAD, OTHER, 12, "force_push"),),
    ],
    ids=["deleted", "made anew", "moved on"],
)
def test_what_becomes_of_the_name_after_the_merge_hides_nothing(later: tuple[Pushed, ...]) -> None:
    assert who(*later, *BRANCH, until=MERGED) == ["ada", "eve"]
    assert who(*later, *BRANCH) == ["ada", "eve"]


def test_a_branch_made_anew_at_the_same_commit_counts_nobody_out_who_came_after_the_merge() -> None:
    again = (pushed(OLGA, NONE, HEAD, 12, "branch_creation"), pushed(OLGA, HEAD, NONE, 11, "branch_deletion"))
    assert who(*again, *BRANCH, until=MERGED) == ["ada", "eve"]


def test_an_earlier_branch_of_the_name_and_what_main_has_are_somebody_else_s_work() -> None:
    earlier = (pushed(OLGA, OTHER, NONE, 0, "branch_deletion"), pushed(OLGA, NONE, OTHER, 0, "branch_creation"))
    assert who(*BRANCH, *earlier) == ["ada", "eve"]
    assert who(pushed(ADA, MAIN, HEAD, 2), pushed(OLGA, OTHER, MAIN, 1)) == ["ada"]


def test_a_branch_that_was_reset_to_main_still_has_whose_work_came_before() -> None:
    reset = (pushed(ADA, MAIN, HEAD, 3), pushed(EVE, OTHER, MAIN, 2, "force_push"), pushed(EVE, NONE, OTHER, 1))
    assert who(*reset) == ["ada", "eve"]


def test_a_head_that_nobody_pushed_is_asked_for_again_later() -> None:
    found = pushers(BRANCH[1:], HEAD, lambda _: False)
    assert isinstance(found, Unknown)
    assert found.later


def test_evidence_holds_people_and_takes_nothing_else_for_one() -> None:
    assert person_from(person_to(Person("ada", 1))) == Person("ada", 1)
    assert person_from(person_to(Person("gitml[bot]", 9, bot=True))).bot
    for odd in (None, [], {}, {"login": 3}, {"login": ["ada"]}):
        assert not person_from(odd).is_known


@pytest.mark.parametrize(
    "trailer",
    [
        "Co-authored-by: Eve <eve@x>",
        "co-authored-by:Eve<eve@x>",
        "Co-Authored-By : Eve <eve@x>",
        "Co-authored-by: Eve\n  <eve@x>",
        "Co-authored-by: Eve <eve@x> (pair)",
        "Signed-off-by: Ada <ada@x>\nCO-AUTHORED-BY: Eve <eve@x>",
    ],
)
def test_co_authors_are_found_however_git_or_the_forge_read_them(trailer: str) -> None:
    assert [p.email for p in co_authors(f"Train\n\nBody.\n\n{trailer}\n")] == ["eve@x"]


def test_a_co_author_without_an_address_is_somebody_unknown() -> None:
    (found,) = co_authors("Train\n\nCo-authored-by: Eve\n")
    assert not found.is_known
    assert co_authors("Train\n\nnobody else\n") == ()


def test_a_commit_names_who_started_the_agent_that_made_it() -> None:
    message = "Train\n\nStarted-By: @ada\nGitml-Requested-By: olga 3\n"
    found = commit_of(PullCommit(HEAD, EVE, EVE, (), message), ["Started-by"])
    assert found.started_by == (Person("olga", 3), Person("ada"))
    assert commit_of(PullCommit(HEAD, EVE, EVE, (), message)).started_by == (Person("olga", 3),)
    for odd in ("", "Ada Lovelace", "ada x", "<ada@x>"):
        assert not by_login(odd).is_known
