"""``gitml evidence accept``: two people end what one push to the ledger began."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from conftest import git
from evidence.evidence_kit import START, enveloped, key_pair, named, stamp
from forges.homes import MemoryHome, memory_home
from gitml.control.place import Place
from gitml.control.signing import heard
from gitml.errors import FailedError, UsageError
from gitml.evidence.statement import Binding
from gitml.git import ledger
from gitml.promotion.accept import AcceptOrder, accept
from gitml.spec import parse_policy

NOW = START + timedelta(days=2)
CI, PUBLIC = key_pair()
PEOPLE = {name: key_pair() for name in ("rita", "olga", "eve")}
KEYS = "".join(
    f"  {name}: {{public: {public}, owner: {name}, purposes: [overridden], from: 2026-01-01}}\n"
    for name, (_, public) in PEOPLE.items()
)
POLICY = f"""\
environments: {{production: {{}}}}
roles: {{risk: {{people: [rita, olga]}}}}
override: {{role: risk, people: 2}}
keys:
  ci: {{public: {PUBLIC}, owner: CI, purposes: [gate, evaluated], from: 2026-01-01}}
{KEYS}"""


@contextmanager
def placed(home: MemoryHome, folder: Path) -> Iterator[Place]:
    if not (folder / "here").exists():
        git(folder, "clone", "-q", home.remote("ada"), "here")
    with home.as_("ada") as forge:
        yield Place(folder / "here", forge, home.settings("ada"), clock=lambda: NOW)


def said(home: MemoryHome, minute: int) -> str:
    about = Binding.model_validate(
        {
            "kind": "gate",
            "repository": home.repository,
            "time": stamp(START + timedelta(minutes=minute)),
            "head": "a" * 40,
        }
    )
    raw = enveloped(about, CI)
    ledger.append(ledger.Remote(home.remote("ada")), {named(about, raw): raw})
    return named(about, raw)


@pytest.fixture
def home(tmp_path: Path) -> MemoryHome:
    """An event was deleted from the ledger, and another signed since."""
    made = memory_home(tmp_path / "forge")
    made.write("ada", "policy.yaml", POLICY)
    name = said(made, 1)
    said(made, 2)
    git(tmp_path, "clone", "-q", "-b", ledger.BRANCH, made.remote("rita"), "rita")
    git(tmp_path / "rita", "rm", "-q", name)
    git(tmp_path / "rita", "commit", "-qm", "tidy")
    git(tmp_path / "rita", "push", "-q", "origin", f"HEAD:{ledger.BRANCH}")
    said(made, 3)
    return made


def order(who: str, good: str) -> AcceptOrder:
    return AcceptOrder(good, "rita cleaned up", PEOPLE[who][0])


def test_two_people_of_the_role_accept_it_each_with_their_own_key(home: MemoryHome, tmp_path: Path) -> None:
    with placed(home, tmp_path) as place:
        policy = parse_policy(POLICY.encode())
        (found,) = heard(place, policy).broken
        assert len(heard(place, policy).all("gate")) == 2
        with pytest.raises(UsageError, match=f"last good commit is {found.good[:12]}"):
            accept(place, order("rita", "f" * 12))
        with pytest.raises(FailedError, match="not among the people"):
            accept(place, order("eve", found.good))
        with pytest.raises(UsageError, match="no key"):
            accept(place, AcceptOrder(found.good, "x", CI))
        first = accept(place, order("rita", found.good[:12]))
        assert (first.by, first.breaks, first.left) == ("rita", (found,), (found,))
        assert accept(place, order("rita", found.good)).left == (found,), "one person is one"
        assert accept(place, order("olga", found.good)).left == ()
        assert len(heard(place, policy).all("gate")) == 3
        with pytest.raises(UsageError, match="the ledger is whole"):
            accept(place, order("olga", found.good))
