"""Evidence made: statements signed with the key of CI, believed before anybody relies on them, added to the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from gitml.control.place import Place
from gitml.errors import GitmlError, UsageError
from gitml.evidence import dsse
from gitml.evidence.bearing import without_backdated
from gitml.evidence.keys import SigningKey
from gitml.evidence.reader import EvidenceRules, Told, read
from gitml.evidence.statement import Binding, Statement, to_payload
from gitml.evidence.trust import Believed, Cause
from gitml.gates.facts import Unknown
from gitml.git import ledger
from gitml.git.commands import Git
from gitml.git.ledger import Event
from gitml.git.ledgerline import Break
from gitml.git.orphan import Remote
from gitml.spec.policy import Policy


@dataclass(frozen=True)
class Signer:
    """The key of this job and the policy that must name it."""

    place: Place
    policy: Policy
    key: SigningKey

    def sign(
        self,
        statements: Sequence[Statement],
        *,
        parents: Sequence[str] = (),
        branch: str = ledger.BRANCH,
        message: str = "",
    ) -> tuple[str, ...]:
        """Add them to the ledger in one commit; the names of the events. ``parents`` stay reachable through it.

        Each says how far this clone had read the ledger: no line that a writer makes beside it has it before that.
        ``branch``: another one of this form; ``message``: the commit's, by default which kinds it brings.

        Raises UsageError when policy.yaml would not believe them: then nothing is added.
        """
        read = ledger.head(self.place.root) or "" if branch == ledger.BRANCH else ""
        events = dict(self._event(_having_read(statement, read)) for statement in statements)
        if events:
            remote, near = self.place.remote, self.place.root
            ledger.append(remote, events, parents=parents, near=near, branch=branch, message=message)
        return tuple(events)

    def _event(self, statement: Statement) -> tuple[str, bytes]:
        envelope = dsse.sign(to_payload(statement), self.key)
        about = statement.binding
        name = ledger.event_name(about.time, about.kind, envelope)
        found = rules_of(self.place, self.policy).believe(Event(name, envelope))
        if not found:
            raise UsageError(
                f"the key of this job signs what policy.yaml does not believe: evidence that {found.why_not}",
                f"name its public half under `keys` in policy.yaml, with the purpose {about.kind}, by a pull request",
            )
        return name, envelope


def _having_read(statement: Statement, head: str) -> Statement:
    return replace(statement, binding=statement.binding.model_copy(update={"ledger": head})) if head else statement


def bound(place: Place, kind: str, run: str, *, after: Statement | None = None, **about: Any) -> Binding:
    """A binding with what every statement says, and what this one is ``about``. ``run`` is the address of the CI run.

    The ledger's order is that of seconds: what takes the place of ``after`` is dated at least one later. Raises
    ValueError for what a statement cannot hold.
    """
    now = place.clock()
    moment = max(now, after.binding.moment + timedelta(seconds=1)) if after else now
    time = f"{moment:%Y-%m-%dT%H:%M:%SZ}"
    at = {"host": place.settings.host, "repository": place.settings.repository}
    common = {"kind": kind, **at, "time": time, "run": run or "local"}
    return Binding.model_validate({**common, **about})


@dataclass(frozen=True)
class BelievedEvents:
    """The ledger as it is now, oldest first, judged by one policy. ``broken``: what nobody accepted yet."""

    believed: tuple[Believed, ...]
    broken: tuple[Break, ...] = ()

    def newest(self, kind: str, **wanted: Any) -> Statement | None:
        """The newest believed statement of a kind whose binding says what is ``wanted``."""
        return next(iter(self.all(kind, **wanted)), None)

    def all(self, kind: str, **wanted: Any) -> tuple[Statement, ...]:
        """The believed statements of a kind whose binding says what is ``wanted``, newest first."""
        return self._found(kind, wanted, [b for b in self.believed if b])

    def signed(self, kind: str, **wanted: Any) -> tuple[Statement, ...]:
        """The same with those that only wait until a break of the ledger is accepted: nobody signs these again."""
        return self._found(kind, wanted, [b for b in self.believed if b or b.cause is Cause.AFTER_BREAK])

    def _found(self, kind: str, wanted: Mapping[str, Any], told: Sequence[Believed]) -> tuple[Statement, ...]:
        found = (b.statement for b in reversed(told) if b.statement)
        return tuple(s for s in found if s.binding.kind == kind and _says(s.binding, wanted))


def _says(binding: Binding, wanted: Mapping[str, Any]) -> bool:
    return all(getattr(binding, name) == value for name, value in wanted.items())


def rules_of(place: Place, policy: Policy) -> EvidenceRules:
    """By a policy of main, at this place and time."""
    return EvidenceRules(policy, place.settings.repository, place.clock(), place.settings.host)


def heard(place: Place, policy: Policy) -> BelievedEvents:
    """Fetch and judge the ledger. Raises OutsideError, or IntegrityError when it was rewritten."""
    return heard_in(place.git, place.remote, rules_of(place, policy))


def heard_in(git: Git, remote: Remote, rules: EvidenceRules) -> BelievedEvents:
    """The same of any repository, by the rules of its own main. ``git`` is where its objects are kept."""
    head = ledger.fetch(git.root, remote)
    told = read(git.root, head, rules, whole=False) if head else Told()
    events = without_backdated(git, told.events, rules.policy.keys)
    return BelievedEvents(events, told.standing.broken)


def heard_or_unknown(place: Place, policy: Policy) -> BelievedEvents | Unknown:
    """The same, or why there is none: what is not known never passes."""
    try:
        return heard(place, policy)
    except GitmlError as exc:
        return Unknown(f"the ledger cannot be read: {exc.message.splitlines()[0]}")
