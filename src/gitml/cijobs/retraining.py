"""``gitml ci retrain``: what causes ask for is opened, kept up to date while they last, and closed when they are gone.

All follows from main, the signed looks, the ledger and the pull requests that are there, so a run that was killed is
made up for by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from gitml.cijobs.declining import sign_labels
from gitml.cijobs.observing import observations
from gitml.cijobs.push import BOT
from gitml.cijobs.retrain import RETRAIN, TrainingWish, put_training, start_training, workflow_of
from gitml.cijobs.retrainfacts import ENDED, OURS, RetrainFacts
from gitml.control.change import BEGIN, END, OVERTAKEN, branch_of, drop_branch, keep_pull
from gitml.control.looks import copy_to_ledger
from gitml.control.place import Place
from gitml.derivation import proposal
from gitml.derivation import retrain as derivation
from gitml.derivation.claim import Claim
from gitml.errors import GitmlError, OutsideError, UsageError
from gitml.evidence.keys import SigningKey
from gitml.evidence.looks import SignedLook
from gitml.evidence.statement import Statement
from gitml.forges.base import NewPull, OnPull
from gitml.git.edit import commit_tree
from gitml.git.ledger import BRANCH as LEDGER
from gitml.reports import retraining as words
from gitml.reports.escape import prose
from gitml.retraining.brakes import Situation, brakes_on, too_early, without_gain
from gitml.retraining.causes import BY_HAND, TrainingCause
from gitml.retraining.plan import RetrainPlan, by_hand, plan_all
from gitml.spec.dvcfiles import LOCK_FILE

# What keeps a branch that is open from being trained anew, beside what is final: the gate would refuse that.
_NO_RUN = ("runs", "gpu-hours")
# What the gate refuses to the bot by itself; a person asks for it in a name of their own.
_TOLD_BY_GATES = ("cool-down", "runs", "gpu-hours")
# The label of issues that say that retraining does not help.
NO_GAIN = "gitml:no-gain"
# What a training is made of, beside its code: where main has another one since, its branch begins anew.
_OVERTAKES = ("dvc.yaml", LOCK_FILE)


@dataclass(frozen=True)
class Retrained:
    """What was done about one model. ``how``: opened, updated, unchanged or closed; empty where nothing was to do.
    ``waits``: why its training has not begun. ``problem``: what could not be done."""

    plan: RetrainPlan
    how: str = ""
    pull: int = 0
    waits: str = ""
    problem: str = ""

    @property
    def model(self) -> str:
        return self.plan.model


def planned(place: Place, at: datetime | None = None) -> tuple[RetrainPlan, ...]:
    """What would be done now, or ``at`` a moment; nothing is done."""
    return plan_all(_facts(place, at).situations())


def _facts(place: Place, at: datetime | None = None) -> RetrainFacts:
    now = (at or place.clock()).replace(microsecond=0)
    return RetrainFacts(place, place.newest(whole=True), now)


def retrain(place: Place, key: SigningKey | None = None) -> tuple[Retrained, ...]:
    """Every model that gitml.yaml retrains; one that fails does not keep the others back. Called again it does nothing.

    ``key`` signs what people said no to by a label, and what runs in other repositories where a retraining follows from
    it; without one both wait. Raises OutsideError where the forge or the ledger does not answer.
    """
    facts = _facts(place)
    if key is not None and sign_labels(facts, key):
        facts = _facts(place)
    situations = facts.situations()
    every = zip(situations, plan_all(situations), strict=True)
    return (*(_tried(RetrainWork(facts, one, key=key), found) for one, found in every), *_orphans(facts))


def _tried(work: RetrainWork, found: RetrainPlan) -> Retrained:
    try:
        return work.do(found)
    except GitmlError as exc:
        return Retrained(found, problem=exc.message.splitlines()[0])


def open_by_hand(place: Place, model: str, kind: str, reason: str) -> Retrained:
    """A person asks for a training, for a cause that there is or for none: what is final forbids that too.

    Without a cause, or where the bot may not yet, it is the person's own commit. Raises UsageError for what cannot be
    opened.
    """
    facts = _facts(place)
    one = next((found for found in facts.situations() if found.model == model), None)
    if one is None:
        known = ", ".join(facts.specs) or "none"
        raise UsageError(f"gitml.yaml does not say how {model} is trained again", f"`retrain` names: {known}")
    if place.me is None:
        raise UsageError("nobody is named who asks for it", "use a token of a person: GITHUB_TOKEN")
    cause, forbids = by_hand(one, kind)
    if cause is None:
        raise UsageError(f"{model} has no cause {kind} now", f"`gitml retrain plan {model}` lists those that there are")
    if forbids:
        raise UsageError(f"{model} cannot be trained again now: {forbids[0]}")
    cause = replace(cause, reason=reason) if cause.kind == BY_HAND else cause
    wanted = RetrainPlan(model, one.at, "open", reason, cause=cause)
    return RetrainWork(facts, one, by_person=True).opened(wanted)


def closed(place: Place, found: RetrainPlan, *, talks: bool = True) -> Retrained:
    """The text says why first: so a run that was killed in between is known for what it was."""
    forge, pull, why = place.forge, place.forge.pulls.get(found.pull), prose(found.why)
    if ENDED not in pull.body:
        said = f"{BEGIN}\n{ENDED}\n**Closed**: {why}.\n"
        forge.pulls.edit(found.pull, body=pull.body.replace(BEGIN, said, 1) if BEGIN in pull.body else said + END)
    forge.merges.close(found.pull, f"{OVERTAKEN} {why}.\n\n{OURS}closed -->" if talks else "")
    drop_branch(place, pull.head.branch, pull.head.commit)
    return Retrained(found, "closed", found.pull)


def _orphans(facts: RetrainFacts) -> Iterator[Retrained]:
    """What is open of models that gitml.yaml does not retrain any more."""
    for model in facts.main.application().models:
        if model not in facts.specs:
            for pull in facts.place.forge.merges.under(f"{branch_of(facts.main, RETRAIN, model)}/"):
                if pull.base.branch == facts.place.branch and facts.claims(pull.head.commit):
                    why = "gitml.yaml does not retrain it any more"
                    yield closed(facts.place, RetrainPlan(model, facts.now, "close", why, pull=pull.number))


@dataclass(frozen=True)
class RetrainWork:
    """One model."""

    facts: RetrainFacts
    one: Situation
    by_person: bool = False
    key: SigningKey | None = None

    @property
    def place(self) -> Place:
        return self.facts.place

    def do(self, found: RetrainPlan) -> Retrained:
        if found.do == "open":
            return self.opened(found)
        if found.do == "keep":
            return self._kept(found)
        if found.do == "close":
            return self._closed(found)
        self._say_that_it_does_not_help()
        return Retrained(found)

    def opened(self, found: RetrainPlan) -> Retrained:
        cause = found.cause
        assert cause is not None
        gone = {one.pull.head.commit for one in self.facts.pulls(self.one.model, cause.kind) if not one.pull.is_open}
        return self._put(found, cause, lambda head: head not in gone and self._asked(head) >= cause.since)

    def _put(self, found: RetrainPlan, cause: TrainingCause, holds: Callable[[str], bool]) -> Retrained:
        # The gate derives its commit from them, and its text links them: they stay when their branch goes.
        copy_to_ledger(self.place, [look.said for look in self._looks(cause)])
        branch = self.facts.branch(self.one.model, cause.kind)
        put = put_training(self.place.git, self.place.remote, TrainingWish(branch, holds, partial(self._commit, cause)))
        if put is None:
            return Retrained(found, problem=f"another run just moved {branch}")
        head, is_new = put
        workflow = workflow_of(self.facts.main.application(), self.facts.main.git.prefix, "train")
        try:
            done = keep_pull(self.place, self._shown(found, cause, branch, self._asked(head)), is_new=is_new)
        finally:
            # The branch trains, whether the forge lets the bot open a pull request or not.
            waits = start_training(self.place.forge, workflow, branch, head, is_new=is_new)
        return Retrained(found, done.how, done.pull.number, waits)

    def _asked(self, head: str) -> datetime:
        """For which moment the head of a branch asks."""
        claims = self.facts.claims(head)
        return claims[-1][0] if claims else datetime.min.replace(tzinfo=UTC)

    def _commit(self, cause: TrainingCause, onto: str | None) -> str:
        git, base, spec = self.place.git, self.facts.main.commit, self.one.spec
        # On one line, so that no word of it is read as a trailer.
        said = f"{words.title(self.one.model, cause.kind)}\n\nWhy: {' '.join(cause.reason.split())}"
        moment, subject = f"{self.one.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", f"{self.one.model} {cause.kind}"
        if not self._is_a_person_s(cause):
            shown = self._shows(cause)
            claim = Claim(derivation.NAME, base, tuple(name for name, _ in shown), moment, subject)
            return proposal.commit_of(git, claim, [statement for _, statement in shown], said, BOT, onto=onto)
        # Nothing shows it, or the gate would refuse it to the bot, so it is that person's commit.
        claim = Claim(derivation.NAME, base, cause.looks, moment, subject)
        message = "\n".join([said, "", *claim.trailers(), ""])
        return commit_tree(
            git, derivation.tree_at(git, base, spec, self.one.at), [*filter(None, [onto]), base], message,
            self.place.who(),
        )  # fmt: skip

    def _is_a_person_s(self, cause: TrainingCause) -> bool:
        """Whether a person asks for what no statement shows, or what the bot may not open yet."""
        unsigned = self._is_seen_elsewhere(cause) and self.key is None
        is_early = any(brake.name in _TOLD_BY_GATES for brake in brakes_on(self.one, cause))
        return cause.kind == BY_HAND or (self.by_person and (unsigned or is_early))

    def _is_seen_elsewhere(self, cause: TrainingCause) -> bool:
        """Whether main alone does not show it, but another repository."""
        return cause.kind == "upstream" and not self.one.upstream

    def _shows(self, cause: TrainingCause) -> Sequence[tuple[str, Statement]]:
        """The statements from which it follows, by their names."""
        if self._is_seen_elsewhere(cause):
            return observations(self.facts, self.one, self.key)
        return [(look.said.name, look.said.statement) for look in self._looks(cause) if look.said.statement]

    def _looks(self, cause: TrainingCause) -> tuple[SignedLook, ...]:
        """In the order in which the cause names them."""
        known = {look.said.name: look for look in self.facts.looks.counting}
        return tuple(known[name] for name in cause.looks)

    # What is open.

    def _kept(self, found: RetrainPlan) -> Retrained:
        """Its text says what is known now; its commit stays, so that approvals do, while main trains from the same."""
        if found.cause is None:
            return Retrained(found, "unchanged", found.pull)
        pull = self.place.forge.pulls.get(found.pull)
        may_run = not (found.brakes or too_early(self.one.model, self.one.newest, self.one.rules, self.one.at))
        may_run &= not any(brake.name in _NO_RUN for brake in brakes_on(self.one, found.cause))
        stays = not (found.cause.stands and may_run and self._is_overtaken(pull.head.commit))
        return self._put(found, found.cause, lambda head: stays or head != pull.head.commit)

    def _is_overtaken(self, head: str) -> bool:
        """Whether main has another pipeline, lock or parameters than what the branch trained from."""
        claims, main = self.facts.claims(head), self.facts.main
        before = main.git.at(claims[-1][1].base) if claims else main.tree
        return any(main.tree.entry(path) != before.entry(path) for path in (*_OVERTAKES, self.one.spec.params))

    def _closed(self, found: RetrainPlan) -> Retrained:
        return closed(self.place, found, talks=self._may_talk)

    @property
    def _may_talk(self) -> bool:
        return sum(past.comments for past in self.one.past) < self.one.rules.comments

    def _say_that_it_does_not_help(self) -> None:
        """Once for those in a row, as an issue; where there are none, on the last of them: its people are told."""
        vain, model = without_gain(self.one), self.one.model
        if len(vain) < self.one.rules.without_gain:
            return
        mark = f"{OURS}no-gain {branch_of(self.facts.main, RETRAIN, model)} {vain[0].pull} -->"
        text, issues = f"{words.no_gain(model, [p.pull for p in vain])}\n\n{mark}", self.place.forge.issues
        try:
            # One that people closed was answered; by now there may be more of them in the same row.
            if not any(mark in issue.body for issue in issues.labelled(NO_GAIN)):
                issues.open(words.no_gain_title(model), text, NO_GAIN)
        except OutsideError as exc:
            self.place.say(f"no issue could be opened: {exc.message.splitlines()[0]}")
            self._comment_once(OnPull(vain[-1].pull), text, mark)

    def _comment_once(self, place: OnPull, text: str, mark: str) -> None:
        comments = self.place.forge.comments
        if self._may_talk and not any(mark in comment.body for comment in comments.list(place)):
            comments.add(place, text)

    # Its text.

    def _shown(self, found: RetrainPlan, cause: TrainingCause, branch: str, asked: datetime) -> NewPull:
        spec, cost = self.one.spec, self.one.spec.cost
        by = self.place.me.login if self.place.me and cause.kind == BY_HAND else ""
        story = words.RetrainStory(
            self.one.model, cause.kind, cause.reason, cause.since, asked, cause.environment,
            str(cause.shows.get("version", "")), tuple(map(self._window, self._looks(cause))), cause.shows,
            {name: (str(spec.set[name]), str(value)) for name, value in spec.values_at(asked).items()},
            cost.hours, cost.gpu_hours, cost.money, spec.error, tuple(map(str, found.brakes)), by,
        )  # fmt: skip
        return NewPull(words.title(self.one.model, cause.kind), branch, self.place.branch, words.text(story))

    def _window(self, look: SignedLook) -> words.LookedWindow:
        since, until = look.window
        newest = look.details.look.looks[-1:]
        rows, sketch = (newest[0].rows, newest[0].sketch) if newest else (0, "")
        return words.LookedWindow(since, until, rows, sketch, self.place.page(f"blob/{LEDGER}/{look.said.name}"))
