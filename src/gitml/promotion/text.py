"""What a promotion's pull request says, gathered from the mainline, the ledger and the forge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from gitml.control.change import requested_by
from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.proofs import Ledger
from gitml.errors import GitmlError, SpecError
from gitml.forges.base import PullRequest
from gitml.forges.governed import Account
from gitml.output import size
from gitml.registry.outputs import Replicates, estimates, on_other_rows, replicates_of, unjudged
from gitml.registry.record import Record
from gitml.registry.store import record_path
from gitml.reports.escape import code, link
from gitml.reports.facts import ReportedMetric
from gitml.reports.promotion import EndedBeside, Evidence, Proposal, ProposedEdit, ProposedSeat, promotion, short
from gitml.reports.rowfacts import Row
from gitml.spec import Application, Deployment, Policy
from gitml.spec.application import Model
from gitml.stats.comparison import differences


@dataclass(frozen=True)
class BroughtBy:
    """Where a version came from: the commit that brought its record to the mainline, its pull requests, who made it."""

    commit: str = ""
    pulls: tuple[PullRequest, ...] = ()
    makers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Story:
    """What the text is about. ``policy`` and ``application`` are None where the mainline's file is broken.

    ``also``: what other environments have and shall have, where a model ends in several at once.
    """

    place: Place
    main: Mainline
    record: Record | None
    model: str
    environment: str
    version: str
    old: Deployment | None
    new: Deployment
    policy: Policy | None
    application: Application | None
    ledger: Ledger
    origin: BroughtBy
    reason: str = ""
    asked_by: tuple[Account, ...] = ()
    warnings: tuple[str, ...] = ()
    is_rollback: bool = False
    also: Mapping[str, tuple[Deployment, Deployment]] = field(default_factory=dict)

    def text(self, commit: str) -> str:
        """Of the pull request whose head is ``commit``: it says who asked, also where others call this again."""
        message = self.place.git.text("show", "-s", "--format=%B", "--no-show-signature", commit)
        return promotion(replace(self, asked_by=requested_by(message)).proposal())

    def proposal(self) -> Proposal:
        champion = self.old.champion.version if self.old else ""
        rows, why, unjudged = self._rows(champion)
        environment = self.policy.environments.get(self.environment) if self.policy else None
        model = self.application.models.get(self.model) if self.application else None
        return Proposal(
            model=self.model,
            environment=self.environment,
            version=self.version,
            home=self.place.settings.pages,
            edits=tuple(edits(self.old, self.new)),
            environment_is=environment.description if environment else "",
            model_is=model.description if model else "",
            reason=self.reason,
            asked_by=tuple(p.login for p in self.asked_by),
            metrics=tuple(self._metrics()),
            champion=champion,
            rows=rows,
            why_no_rows=why,
            why_unjudged=unjudged,
            lineage=tuple(self._lineage()),
            evidence=tuple(self._evidence()),
            no_evidence=self.ledger.problem,
            seats=tuple(seats_of(self.policy, self.environment)),
            warnings=self.warnings,
            previous=champion,
            is_rollback=self.is_rollback,
            is_end=self.new.retired,
            also=tuple(
                EndedBeside(name, tuple(edits(*states)), tuple(seats_of(self.policy, name)))
                for name, states in self.also.items()
            ),
            shut_out=self.shut_out,
        )

    @property
    def _declared(self) -> Model | None:
        return self.application.models.get(self.model) if self.application else None

    @property
    def better(self) -> Mapping[str, Literal["higher", "lower"]]:
        return self._declared.better if self._declared else {}

    @property
    def shut_out(self) -> tuple[str, ...]:
        """Who holds a needed role and yet cannot approve."""
        made = {m.lower() for m in self.origin.makers if not self.is_rollback}
        made |= {p.login.lower() for p in self.asked_by}
        people = {p for seat in seats_of(self.policy, self.environment) for p in seat.people}
        return tuple(sorted(p for p in people if p.lower() in made))

    def _metrics(self) -> Iterator[ReportedMetric]:
        found = self.record.metrics if self.record else {}
        names = [*(n for n in self.better if n in found), *sorted(set(found) - set(self.better))]
        return (ReportedMetric(n, found[n].value, found[n].low, found[n].high, self.better.get(n)) for n in names)

    def _rows(self, champion: str) -> tuple[tuple[Row, ...], str, str]:
        """Against the champion; why there are none; why none of them is called better."""
        if not champion:
            return (), "nothing runs there yet", ""
        if champion == self.version:
            return (), "it is what answers there now", ""
        if self.record is None:
            return (), "its record cannot be read", ""
        try:
            other = self.main.record(self.model, champion)
        except SpecError:
            return (), f"the record of {short(champion)}, which runs there, cannot be read", ""
        rows, are_others = compared(self.main, self.record, other, self._declared)
        return rows, "they have no metric in common", _ON_OTHERS if are_others else ""

    def _lineage(self) -> Iterator[tuple[str, str]]:
        record, home = self.record, self.place.settings.pages
        if record is None:
            return
        path = record_path(self.model, self.version)
        yield "version", link(code(record.version), f"{home}/blob/{self.main.commit}/{self.main.git.prefix}{path}")
        yield "made", f"{record.created} ({_ORIGINS[record.origin]})"
        if self.origin.commit:
            commit = self.origin.commit
            by = ", ".join(f"#{pull.number}" for pull in self.origin.pulls)
            yield "brought in by", link(code(commit[:12]), f"{home}/commit/{commit}") + (f", {by}" if by else "")
        if self.origin.makers:
            yield "made by", ", ".join(code(m) for m in self.origin.makers)
        if record.source:
            yield "source", code(record.source)
        for stage, entry in list(record.entries().items())[:20]:
            yield f"stage {stage}", ", ".join(f"{code(c.path)} {code(_digits(c.digest))}" for c in entry.deps[:12])
        if record.packages:
            yield "packages", f"{code(record.packages.path)} {code(record.packages.sha256[:8])}"
        file = record.files[record.artifact]
        yield "artifact", f"{code(record.artifact)}, {size(file.size)}, SHA-256 {code(file.sha256)}"

    def _evidence(self) -> Iterator[Evidence]:
        for told in self.ledger.of(self.model, self.version):
            if about := told.binding:
                yield Evidence(about.kind, about.time, about.result, about.environment, told.why_not)


_ON_OTHERS = "each has figures of a hold-out of its own; the report of its training has both on the same rows"
_ORIGINS = {"local": "outside CI", "ci": "by CI", "external": "elsewhere, registered here"}


def _digits(digest: str) -> str:
    return digest.rpartition(":")[2][:8]


def record_or_none(place: Place, main: Mainline, model: str, version: str) -> Record | None:
    """A record that is broken is no reason not to go back."""
    try:
        return main.record(model, version)
    except GitmlError as exc:
        place.say(f"the record of {version} cannot be read: {exc.message.splitlines()[0]}")
        return None


def edits(old: Deployment | None, new: Deployment) -> Iterator[ProposedEdit]:
    """What changes, part by part."""
    before, after = (_parts(state) for state in (old, new))
    for part in dict.fromkeys([*before, *after]):
        if before.get(part, "") != after.get(part, ""):
            yield ProposedEdit(part, before.get(part, ""), after.get(part, ""))


def _parts(state: Deployment | None) -> dict[str, str]:
    if state is None:
        return {}
    parts = {"champion, which answers": state.champion.version}
    if state.retired:
        parts["retired"] = "nobody is answered any more, and all records stay"
    if state.canary:
        parts["canary, which answers a part"] = f"{state.canary.version}, {state.canary.weight:g} %"
    if state.shadow:
        seen = (f"{p.version}{'' if p.sample == 100 else f', {p.sample:g} %'}" for p in state.shadow)
        parts["shadow, whose answers nobody sees"] = ", ".join(seen)
    if state.hold:
        end = f" until {state.hold.until:%Y-%m-%d %H:%M} UTC" if state.hold.until else ""
        parts["hold, which stops promotions"] = f"by {state.hold.by}{end}: {state.hold.reason}"
    for one in state.held:
        parts[f"hold of {short(one.version)}"] = f"by {one.by}: {one.reason}"
    return parts


def compared(main: Mainline, new: Record, old: Record, model: Model | None) -> tuple[tuple[Row, ...], bool]:
    """``new - old`` of each metric, paired where both kept replicates of the same rows in Git; and whether gitml.yaml
    says that they were judged on different rows: then none of them is called better."""
    ours, theirs = _replicates(main, new), _replicates(main, old)
    paired = ours is not None and theirs is not None and ours.pairs_with(theirs)
    better = model.better if model else {}
    found = differences(estimates(new, ours), estimates(old, theirs), better=better, paired=paired)
    other = on_other_rows(model.holdout if model else None, new, old, paired=paired)
    return tuple(Row.of(difference) for difference in (unjudged(found) if other else found)), other


def _replicates(main: Mainline, record: Record) -> Replicates | None:
    def places(path: str) -> Iterator[bytes | None]:
        brought = main.added(record_path(record.model, record.version))
        yield main.git.read_file(brought, path) if brought else None

    return replicates_of(record, places)


def seats_of(policy: Policy | None, environment: str) -> Iterator[ProposedSeat]:
    """The approvals that an environment asks for."""
    if policy is None or environment not in policy.environments:
        return
    for role, needed in policy.environments[environment].approvals.items():
        holders = policy.roles[role]
        yield ProposedSeat(role, needed, tuple(p.login for p in holders.people), holders.teams)


def origin_of(place: Place, main: Mainline, model: str, version: str) -> BroughtBy:
    """What the forge says of the commit that brought a version; without an answer the commit alone."""
    commit = main.added(record_path(model, version)) or ""
    if not commit:
        return BroughtBy()
    try:
        pulls = place.forge.pulls.of_commit(commit)
        people = [person for pull in pulls for c in place.forge.merges.commits(pull.number) for person in c.people]
    except GitmlError as exc:
        place.say(f"who made {version} is not known: {exc.message.splitlines()[0]}")
        return BroughtBy(commit)
    makers = [*(pull.author for pull in pulls), *(p.login for p in people)]
    return BroughtBy(commit, pulls, tuple(m for m in dict.fromkeys(makers) if m and not m.endswith("[bot]")))
