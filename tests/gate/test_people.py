"""Who stands behind a promotion and behind a version, asked of a forge."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gitml.control.signing import BelievedEvents
from gitml.evidence.statement import Binding, Statement
from gitml.evidence.trust import Believed
from gitml.forges.governed import Account, CommitIdentity, PullCommit
from gitml.gate import lineage as gatelineage
from gitml.gate.lineage import lineage_of
from gitml.gate.people import by_address, commit_of, pull_of, teams_of
from gitml.gates.facts import Commit, Person, Unknown
from gitml.git.bot import BOT_EMAIL, BOT_NAME
from gitml.registry.record import Record
from gitml.spec import Policy
from promotion.gating import Gated
from promotion.promoting import POLICY, MemoryTown, push_as, record
from sandbox.forge_kit import git

Town = Gated[MemoryTown]
APP = "gitml-bot[bot]"
ADA, OLGA = Account("ada", 1), Account("olga", 2)


@pytest.mark.parametrize(
    ("email", "login", "number", "bot"),
    [
        ("12+ada@users.noreply.github.com", "ada", 12, False),
        ("ada@users.noreply.github.com", "ada", None, False),
        ("9+gitml-bot[bot]@users.noreply.localhost", "gitml-bot[bot]", 9, True),
        (BOT_EMAIL, "gitml-bot[bot]", None, True),
    ],
)
def test_addresses_that_a_forge_gives_to_accounts(email: str, login: str, number: int | None, bot: bool) -> None:
    found = by_address(email)
    assert (found.login, found.id, found.bot) == (login, number, bot)


@pytest.mark.parametrize("email", ["ada@example.com", "", "ada@users.noreply.github.com.evil/x", "+a@users.noreply.x"])
def test_any_other_address_is_of_nobody_known(email: str) -> None:
    assert not by_address(email).is_known


def made(author: Account | None, committer: Account | None, *emails: str, message: str = "x") -> PullCommit:
    claims = tuple(CommitIdentity("somebody", email) for email in emails)
    return PullCommit("c" * 40, author, committer, claims, message)


def names(found: Commit) -> list[str]:
    return [person.name for person in found.people]


def test_author_committer_and_co_authors_stand_behind_a_commit() -> None:
    trailer = "Train\n\nCo-authored-by: Rita <3+rita@users.noreply.github.com>\nco-authored-by: X <x@y.z>"
    found = commit_of(made(ADA, OLGA, "a@x", "o@x", message=trailer))
    assert names(found) == ["ada", "olga", "rita", "x@y.z"]
    assert [p.is_known for p in found.people] == [True, True, True, False]


def test_whom_the_forge_links_with_no_account_is_not_known_whatever_the_address_looks_like() -> None:
    found = commit_of(made(None, ADA, "2+olga@users.noreply.github.com", "a@x"))
    assert [(p.name, p.is_known) for p in found.people] == [
        ("2+olga@users.noreply.github.com", False),
        ("ada", True),
    ]
    gone = commit_of(made(ADA, None, "a@x"))
    assert [p.is_known for p in gone.people] == [True, False]


# a forge


@pytest.fixture
def town(new_gated_here: Callable[[], Town]) -> Town:
    return new_gated_here()


NOTHING = BelievedEvents(())


def heard(kind: str, **about: str) -> BelievedEvents:
    """One believed event."""
    common = {"kind": kind, "repository": "acme/flights", "time": "2026-03-01T08:00:00Z", "result": "passed"}
    return BelievedEvents((Believed(Statement(Binding.model_validate({**common, **about})), "ci", ""),))


def people(g: Gated, version: Record, champion: Record | None = None, known: BelievedEvents = NOTHING) -> list[str]:
    found = commits(g, version, champion, known)
    return sorted({person.name for commit in found for person in commit.people})


def commits(
    g: Gated, version: Record, champion: Record | None = None, known: BelievedEvents = NOTHING
) -> tuple[Commit, ...]:
    with g.place() as place:
        found = lineage_of(place, place.newest(whole=True), known)(version, champion, "production")
    assert not isinstance(found, Unknown), found
    return found


def training(g: Gated, seed: int, login: str, **more: str) -> tuple[Record, int]:
    """A pull request with code and a record."""
    version = record(seed, minute=seed)
    files = {
        "train.py": f"seed = {seed}\n",
        f"models/delay/versions/{version.version}.json": version.to_json(),
        **more,
    }
    return version, g.pull(dict(files), f"train-{seed}", login)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_who_trained_it_is_known_after_every_way_to_merge_and_who_merged_is_not_one_of_them(
    town: Town, method: str
) -> None:
    old = town.town.train(1)
    version, number = training(town, 2, "rita")
    town.town.merge(number, "olga", method)
    assert people(town, version, old) == ["rita"]
    assert people(town, version) == ["ada", "rita"]  # who began it counts where nothing runs yet


@pytest.mark.slow
def test_whose_work_came_between_the_champion_and_the_version_counts(town: Town) -> None:
    old = town.town.train(1)
    side = town.pull({"train.py": "better\n"}, "code", "rita")
    town.town.merge(side, "olga")
    docs = town.pull({"notes.md": "unrelated\n"}, "notes", "olga")
    town.town.merge(docs)
    version = town.town.train(3)
    assert people(town, version, old) == ["ada", "rita"]
    assert people(town, version, version) == ["ada"]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["merge", "squash"])
def test_code_that_came_to_main_while_the_champion_waited_counts(town: Town, method: str) -> None:
    town.town.train(1)
    code = town.pull({"train.py": "the champion's\n"}, "train-2", "ada")
    champion = record(2, minute=2, commit=town.head(code))
    main = town.town.main
    git(main, "fetch", "-q", "origin", "train-2")
    git(main, "checkout", "-q", "--detach", "FETCH_HEAD")
    file = main / f"models/delay/versions/{champion.version}.json"
    file.write_text(champion.to_json())
    git(main, "add", "-A")
    git(main, "commit", "-qm", "Train")
    push_as(town.town, "train-2", "ada")
    git(main, "checkout", "-q", "main")
    side = town.pull({"params.yaml": "a: 1\n", "dvc.yaml": "stages: {}\n"}, "code", "rita")
    town.town.merge(side, "olga")
    town.town.merge(code, "olga", method)
    version, number = training(town, 3, "olga", **{"dvc.yaml": "stages: {} #\n"})
    town.town.merge(number, "olga")
    assert people(town, version, champion) == ["olga", "rita"]


@pytest.mark.slow
def test_an_older_version_than_the_champion_has_its_authors_still(town: Town) -> None:
    town.town.train(1)
    side = town.pull({"train.py": "better\n"}, "code", "rita")
    town.town.merge(side, "olga")
    older, newer = town.town.train(2), town.town.train(3)
    assert people(town, older, newer) == ["ada", "rita"]


@pytest.mark.slow
def test_an_older_version_has_the_authors_since_the_last_one_that_was_approved_before_it(town: Town) -> None:
    """And of what came after it, as that is taken back; not of all history, or a small team had nobody to approve."""
    versions = []
    for number, login in enumerate(("eve", "olga", "rita")):
        town.town.home.let(login, "write")
        town.town.merge(town.pull({"train.py": f"{number}\n"}, f"code-{number}", login), "ada")
        version, pull = training(town, number + 2, "ada")
        town.town.merge(pull, "ada")
        versions.append(version)
    first, second, third = versions
    about = {"model": "delay", "environment": "production"}
    approved = [heard("approved", **about, version=v.version, artifact=v.files[v.artifact].sha256) for v in versions]
    assert people(town, second, third, approved[0]) == ["ada", "olga", "rita"]
    assert people(town, second, third, approved[1]) == ["ada", "rita"], "that one was approved as it is"
    about["artifact"] = first.files[first.artifact].sha256
    elsewhere = heard("approved", **{**about, "environment": "staging"}, version=first.version)
    other = heard("approved", **about, version=second.version)
    for known in (elsewhere, other, approved[2], NOTHING):
        assert people(town, second, third, known) == ["ada", "eve", "olga", "rita"]


@pytest.mark.slow
def test_an_address_that_nobody_claims_is_named(town: Town) -> None:
    git(town.town.main, "config", "user.name", "x")
    who = {f"GIT_{r}_EMAIL": "ghost@example.net" for r in ("AUTHOR", "COMMITTER")}
    (town.town.main / "train.py").write_text("ghost\n")
    git(town.town.main, "commit", "-qam", "ghost", env=who)
    push_as(town.town, "main", "ada")
    found = commits(town, town.town.train(1))
    assert [p for c in found for p in c.people if not p.is_known] == [Person(email="ghost@example.net")]


@pytest.mark.slow
def test_the_bot_s_address_counts_where_evidence_says_that_the_commit_was_derived(town: Town) -> None:
    """And nobody worked on an empty commit, or on the merge that Git itself makes, whoever is named there."""
    bot = {f"GIT_{r}_{k}": v for r in ("AUTHOR", "COMMITTER") for k, v in (("NAME", BOT_NAME), ("EMAIL", BOT_EMAIL))}
    old = town.town.train(1)
    version, number = training(town, 2, "rita")
    town.town.push({"notes.md": "main moves\n"})
    main, branch = town.town.main, "train-2"
    git(main, "fetch", "-q", "origin", branch)
    git(main, "checkout", "-q", "--detach", "FETCH_HEAD")
    git(main, "merge", "-q", "-m", "Merge main", "main", env=bot)
    git(main, "commit", "-q", "--allow-empty", "-m", "go", env=bot)
    (main / "dvc.lock").write_text("schema: '2.0'\n")
    git(main, "add", "-A")
    git(main, "commit", "-qm", "trained", env=bot)
    made = push_as(town.town, branch, "rita")
    git(main, "checkout", "-q", "main")
    town.town.merge(number, "olga", "squash")
    unknown = [p for c in commits(town, version, old) for p in c.people if not p.is_known]
    assert [BOT_EMAIL in p.email for p in unknown] == [True]
    with town.place() as place:
        found = lineage_of(place, place.newest(whole=True), heard("derived", head=made))(version, old, "production")
    assert not isinstance(found, Unknown)
    assert sorted({p.name for c in found for p in c.people}) == [f"{BOT_NAME}[bot]", "rita"]


@pytest.mark.slow
def test_who_pushed_work_under_another_s_name_counts_also_once_it_is_merged(town: Town) -> None:
    """Olga pushed it as Rita's commit; Rita pushed on, and Ada took main in, which is nobody's work."""
    old = town.town.train(1)
    town.town.home.known_by("rita", "rita@example.org")
    version, number = training(town, 2, "rita")
    branch, main = town.town.pull(number).head.branch, town.town.main
    town.town.push({"notes.md": "main moves\n"})
    git(main, "fetch", "-q", "origin", branch)
    git(main, "checkout", "-q", "--detach", "FETCH_HEAD")
    (main / "train.py").write_text("olga's\n")
    for login in ("olga", "rita"):
        who = {f"GIT_{r}_EMAIL": "rita@example.org" for r in ("AUTHOR", "COMMITTER")}
        git(main, "commit", "-qam", "x", "--allow-empty", env=who)
        push_as(town.town, branch, login)
        (main / "train.py").write_text("rita's\n")
    git(main, "checkout", "-q", "--", ".")
    git(main, "merge", "-q", "-m", "Merge main", "main")
    push_as(town.town, branch, "ada")
    git(main, "checkout", "-q", "main")
    town.town.merge(number, "ada", "squash")
    assert people(town, version, old) == ["olga", "rita"]


@pytest.mark.slow
def test_of_long_histories_the_old_part_is_read_from_git_alone(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gatelineage, "MOST", 1)
    old = town.town.train(1)
    side = town.pull({"train.py": "better\n"}, "code", "rita")
    town.town.merge(side, "olga", "rebase")
    version = town.town.train(2)
    assert people(town, version, old) == ["ada", "rita"]


@pytest.mark.slow
def test_behind_a_promotion_stand_who_opened_asked_for_and_pushed_it(town: Town) -> None:
    version = town.town.train(1)
    town.town.home.let(APP, "write")
    number = town.town.promote(version, login=APP).pull.number
    with town.place() as place:
        found = pull_of(place, number, place.newest(whole=True).commit)
    assert not isinstance(found, Unknown)
    assert isinstance(found.author, Person)
    assert (found.author.login, found.author.bot) == (APP, True)
    assert found.pushers == (found.author,)
    assert not isinstance(found.commits, Unknown)
    assert [names(c) for c in found.commits] == [[APP]]
    assert found.head == town.head(number)
    assert [p.login for p in found.asked_by if not p.bot] == []
    town.approve(number)
    pushed_by(town, number, "rita")
    with town.place() as place:
        after = pull_of(place, number, place.newest(whole=True).commit)
    assert not isinstance(after, Unknown)
    assert not isinstance(after.pushers, Unknown)
    assert [p.login for p in after.pushers] == ["rita", APP]
    assert not isinstance(after.reviews, Unknown)
    assert [(r.person.login, r.commit == after.head) for r in after.reviews] == [("olga", False)]


def pushed_by(g: Gated, number: int, login: str) -> None:
    branch = g.town.pull(number).head.branch
    git(g.town.main, "fetch", "-q", "origin", branch)
    git(g.town.main, "checkout", "-q", "--detach", "FETCH_HEAD")
    g.commit(branch, login)
    git(g.town.main, "checkout", "-q", "main")


@pytest.mark.slow
def test_an_asker_is_named_by_the_commit(town: Town) -> None:
    version = town.town.train(1)
    number = town.town.promote(version, login="olga").pull.number
    with town.place() as place:
        found = pull_of(place, number, place.newest(whole=True).commit)
    assert not isinstance(found, Unknown)
    assert [p.login for p in found.asked_by] == ["olga"]


@pytest.mark.slow
def test_a_team_that_the_forge_does_not_show_is_unknown(town: Town) -> None:
    rules = {
        **POLICY,
        "roles": {"operations": {"people": ["olga"], "teams": ["acme/ops"]}, "risk": {"people": ["x", "y"]}},
    }
    with town.place() as place:
        found = teams_of(place, Policy.model_validate(rules))
    assert list(found) == ["acme/ops"]
    assert isinstance(found["acme/ops"], Unknown)


@pytest.mark.slow
def test_a_version_that_main_does_not_have(town: Town) -> None:
    with town.place() as place:
        assert isinstance(lineage_of(place, place.newest(whole=True), NOTHING)(record(77), None, "production"), Unknown)
