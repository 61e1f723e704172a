"""A town whose gate has a key: evidence on its ledger, reviews on its pull requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from forges.homes import JOBS, job_token
from gitml.control.place import Place
from gitml.control.signing import Signer, bound
from gitml.evidence.keys import SigningKey, generate, signing_key
from gitml.evidence.statement import Statement
from gitml.evidence.trust import Believed, believe
from gitml.forges.base import State, Status
from gitml.gate.ground import Ground, ground
from gitml.git import ledger
from gitml.promotion.gate import GateOrder, GateOutcome, gate
from gitml.registry.record import Record
from promotion.promoting import POLICY, MemoryTown, SandboxTown, Town, commit_as, copied, town
from sandbox.forge_kit import Kit

PURPOSES = ["trained", "evaluated", "reproduced", "gate", "approved", "promoted", "rolled-back", "deployed"]
RUN = "http://ci.example/runs/7"


T = TypeVar("T", bound=Town)


@dataclass
class Gated(Generic[T]):
    """``key`` signs, and main's policy names it; ``token`` is that of the workflow's job."""

    town: T
    secret: str
    token: str
    policy: dict[str, Any]

    @property
    def key(self) -> SigningKey:
        return signing_key(self.secret)

    @contextmanager
    def place(self) -> Iterator[Place]:
        with self.town.place(self.token) as found:
            yield found

    @contextmanager
    def ground(self) -> Iterator[tuple[Place, Ground]]:
        with self.place() as place, ground(place) as known:
            yield place, known

    def ready(self, seed: int = 1, login: str = "ada") -> tuple[Record, int]:
        """A version with evidence, and the pull request that promotes it to staging."""
        version = self.town.train(seed)
        self.prove(version, "trained", "evaluated")
        return version, self.town.promote(version, login=login).pull.number

    def approve(self, number: int, login: str = "olga", *, commit_id: str = "") -> None:
        self.town.home.review(login, number, "APPROVED", commit_id)

    def judge(self, *numbers: int, key: bool = True, **more: Any) -> tuple[GateOutcome, ...]:
        order = GateOrder(numbers or None, official=True, key=self.key if key else None, run=RUN, **more)
        with self.place() as place:
            return gate(place, order)

    def one(self, number: int, **more: Any) -> GateOutcome:
        (outcome,) = self.judge(number, **more)
        return outcome

    def prove(self, version: Record, *kinds: str, **about: Any) -> None:
        """Evidence of the kinds for a version, signed and on the ledger."""
        artifact = version.files[version.artifact].sha256
        base = {"model": version.model, "version": version.version, "artifact": artifact}
        with self.ground() as (place, known):
            made = [Statement(bound(place, kind, RUN, **base, **about), {}) for kind in kinds]
            Signer(place, known.policy, self.key).sign(made)

    def events(self, kind: str = "") -> list[Believed]:
        """What the ledger holds, oldest first."""
        with self.ground() as (place, known):
            head = ledger.fetch(place.root, place.remote)
            raw = [e.content for e in ledger.read(place.root, head)] if head else []
            found = [believe(c, known.policy.keys, place.settings.repository, place.clock()) for c in raw]
        return [b for b in found if b.statement and kind in ("", b.statement.binding.kind)]

    def results(self, kind: str = "gate") -> list[str]:
        found = self.events(kind)
        assert all(found), [b.why_not for b in found]
        return [b.statement.binding.result for b in found if b.statement]

    def status(self, sha: str, context: str = "gitml/gate") -> tuple[str, str]:
        """State and description, empty when nobody posted it."""
        with self.town.hub() as hub:
            found = next((s for s in hub.commits.statuses(sha) if s.context == context), None)
        return (found.state.value, found.description) if found else ("", "")

    def post(self, login: str, sha: str, state: State = State.SUCCESS, text: str = "trust me") -> None:
        """The gate's status, posted by hand."""
        with self.town.hub(login) as hub:
            hub.commits.post(sha, Status("gitml/gate", state, text))

    def comments(self, number: int) -> list[str]:
        return self.town.comments(number)

    def rules(self, **changes: Any) -> None:
        self.policy = {**self.policy, **changes}
        self.town.policy(**self.policy)

    def pull(self, files: Mapping[str, str | None], branch: str = "side", login: str = "ada") -> int:
        """A branch from main with these files, and its pull request."""
        return self.town.pull_of(files, branch, login)

    def commit(self, branch: str, login: str = "ada") -> str:
        """Commit what lies in the clone that pushes, as the account, and push it to the branch."""
        return commit_as(self.town, branch, login)

    def head(self, number: int) -> str:
        return self.town.pull(number).head.commit


def keys(public: str) -> dict[str, dict[str, object]]:
    return {"ci": {"public": public, "owner": "CI", "purposes": PURPOSES, "from": "2026-01-01"}}


def gated(kit: Kit, folder: Path, *, private: bool = False, **changes: Any) -> Gated[SandboxTown]:
    secret, public = generate()
    made = town(kit, folder, private=private)
    # The forge knows whose address stands in the commits of main.
    made.home.known_by("ada", "ada@example.org")
    found = Gated(made, secret, job_token(kit, made.repo), {**POLICY, "keys": keys(public), **changes})
    found.rules()
    return found


def new_gated(town: MemoryTown) -> Gated[MemoryTown]:
    """The same without a server, over a town that is there."""
    secret, public = generate()
    town.home.known_by("ada", "ada@example.org")
    found = Gated(town, secret, f"job:{JOBS}", {**POLICY, "keys": keys(public)})
    found.rules()
    return found


def copied_gated(gated: Gated[MemoryTown], folder: Path, **changes: Any) -> Gated[MemoryTown]:
    """A gated town that begins as this one is, with these changes of its policy."""
    made = replace(gated, town=copied(gated.town, folder))
    if changes:
        made.rules(**changes)
    return made
