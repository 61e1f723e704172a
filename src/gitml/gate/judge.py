"""One pull request judged: policy, roles and keys from the base branch, the deployment file from the head, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gitml.control.place import Place
from gitml.control.upstreams import Upstreams
from gitml.errors import GitmlError, OutsideError
from gitml.forges.base import PullRequest
from gitml.forges.table import adapter
from gitml.gate.beside import NOBODY_JUDGES, Beside, as_of_now, beside_or_unknown, beside_told
from gitml.gate.derived import DerivedCommit, derivations
from gitml.gate.facts import Sources, UpstreamsOf, case_of
from gitml.gate.ground import Ground
from gitml.gate.lineage import lineage_of
from gitml.gate.modelfiles import DEPLOYMENT, inside, refusals
from gitml.gate.people import person_from, pull_of, signed_pushers, teams_of
from gitml.gate.seen import looks_told
from gitml.gate.tree import Edit, Edits, deployment, edits
from gitml.gate.version import Shelf
from gitml.gates.facts import Person, Unknown
from gitml.git.commands import Git
from gitml.git.edit import bring
from gitml.git.merges import changes
from gitml.policy.decision import Decision, decide
from gitml.policy.facts import Case, Pull
from gitml.registry.desired import retired
from gitml.spec.deployment import Deployment
from gitml.verdict import Phase, Verdict, worst


@dataclass(frozen=True)
class Judged:
    """``decision`` is None for a pull request that is no promotion. ``edit`` is the deployment file that it changes.

    ``refused`` are reasons for which it may not be merged at all, ``derived`` the commits of the bot in it, ``beside``
    how its versions were judged beside the champion. ``also``: the other files of a model that ends in several
    environments at once, each judged by the rules of its own. ``whole`` is the phase of all files together, of which
    each is a part.
    """

    pull: PullRequest
    ground: Ground
    edit: Edit | None = None
    case: Case | None = None
    decision: Decision | None = None
    refused: tuple[str, ...] = ()
    derived: tuple[DerivedCommit, ...] = ()
    beside: Beside = NOBODY_JUDGES
    also: tuple[Judged, ...] = ()
    whole: Phase | None = None

    @property
    def parts(self) -> tuple[Judged, ...]:
        """One for each deployment file; a pull request that changes none of them is its own only part."""
        return (self, *self.also)

    @property
    def phase(self) -> Phase:
        """Of the pull request: nothing of it is open while a file is shut."""
        return self.whole or (self.decision.phase if self.decision else Phase.ERROR)

    @property
    def is_promotion(self) -> bool:
        return self.decision is not None or bool(self.refused)

    @property
    def is_open(self) -> bool:
        return self.decision is not None and self.phase is Phase.SUCCESSFUL and not self.refused


def judge(place: Place, ground: Ground, pull: PullRequest, *, until: datetime | None = None) -> Judged:
    """What policy says of merging the pull request's head into the base branch. Raises OutsideError when that fails.

    ``until``: pushes and reviews that came later do not count, because it was merged then.
    """
    head, git = pull.head.commit, ground.main.git
    have_head(place, pull)
    found = edits(git, ground.main.commit, head)
    if not found.deployments:
        made = derivations(place, ground, head)
        hidden = hidden_changes(git, ground.main.commit, head)
        return Judged(pull, ground, refused=(*found.refused, *hidden, *_forged(made)), derived=made)
    edit, *others = found.deployments
    more = [] if _ended(git, found.deployments) else [e.path for e in others]
    others = [] if more else others
    beside = beside_or_unknown(place, ground, edit)
    made = derivations(place, ground, head, claimed_only=True)
    made = tuple(as_of_now(one, beside, ground.main, edit, place.clock()) for one in made)
    refused = found.refused + ((f"changes {', '.join(more[:5])} as well: one deployment at a time",) if more else ())
    refused = (*refused, *_forged(made))
    found = Edits((edit, *others), refused, found.stale)
    people = pull_of(place, pull.number, ground.main.commit, until, ground.policy.agents.trailers)
    if not isinstance(people, Unknown) and people.head != head:
        raise OutsideError(
            f"pull request {pull.number} moved from {head[:12]} while it was judged", "it is judged again"
        )
    if not isinstance(people, Unknown):
        people = replace(people, derived=_told(made, people), pushers=_pushers(ground, edit, pull.number, people))
    sources = _sources(place, ground, beside)
    cases = [case_of(sources, found, one, people) for one in found.deployments]
    refused = tuple(dict.fromkeys(why for case in cases for why in case.refused))
    cases = [replace(case, refused=refused) for case in cases]
    parts = [
        Judged(pull, ground, one, case, decide(ground.policy, case), refused, made, beside)
        for one, case in zip(found.deployments, cases, strict=True)
    ]
    if not others:
        return parts[0]
    whole = worst(Verdict(one.phase, "") for one in parts)
    first, *rest = (replace(one, whole=whole) for one in parts)
    return replace(first, also=tuple(rest))


def _ended(git: Git, found: Sequence[Edit]) -> bool:
    states = [(deployment(git, one.old, one.path), deployment(git, one.new, one.path)) for one in found]
    return end_together([(one.model, *state) for one, state in zip(found, states, strict=True)])


State = Deployment | Unknown | None


def end_together(found: Sequence[tuple[str, State, State]]) -> bool:
    """Whether all of these files, each with its model, retire one model with the same words and do nothing else.

    Then they may come together, because whatever of it is merged, less runs than before.
    """
    holds = {new.hold for _, _, new in found if isinstance(new, Deployment)}
    alone = len({model for model, _, _ in found}) == len(holds) == 1
    return alone and all(_only_ends(old, new) for _, old, new in found)


def _only_ends(old: State, new: State) -> bool:
    if not isinstance(old, Deployment) or not isinstance(new, Deployment) or new.hold is None:
        return False
    # In this order: another hold than a retirement's may end by itself.
    return new.retired and not old.retired and new == retired(old, new.hold)


def _pushers(ground: Ground, edit: Edit, number: int, people: Pull) -> tuple[Person, ...] | Unknown:
    """As the forge says, else as the gate signed it of this head: branches go, and come again with another past."""
    if not isinstance(people.pushers, Unknown):
        return people.pushers
    for about, told in signed_pushers(ground.heard, number, people.head):
        change = about.change
        if change is not None and (change.path, change.old, change.new) == (edit.path, edit.old, edit.new):
            return tuple(person_from(one) for one in told)
    return people.pushers


def _forged(made: tuple[DerivedCommit, ...]) -> tuple[str, ...]:
    return tuple(one.verdict.reason for one in made if one.verdict.phase is Phase.FAILED)


def _told(made: tuple[DerivedCommit, ...], people: Pull) -> str:
    """What the pull request follows from, where each of its commits does; else empty."""
    fine = {one.commit for one in made if one.verdict.phase is Phase.SUCCESSFUL}
    commits = () if isinstance(people.commits, Unknown) else people.commits
    whole = bool(commits) and all(commit.sha in fine for commit in commits)
    return ", ".join(dict.fromkeys(one.told for one in made)) if whole else ""


def _sources(place: Place, ground: Ground, beside: Beside) -> Sources:
    believed = ground.heard
    return Sources(
        shelf=Shelf(ground.main, ground.main.application(), ground.depot),
        repository=place.settings.repository,
        now=place.clock(),
        policy=ground.policy,
        believed=believed if isinstance(believed, Unknown) else believed.believed,
        lineage=lineage_of(place, ground.main, believed, ground.policy.agents.trailers),
        teams=teams_of(place, ground.policy),
        looks=looks_told(ground.seen),
        beside=beside_told(beside),
        upstreams=_upstreams(place, ground),
    )


def _upstreams(place: Place, ground: Ground) -> UpstreamsOf:
    """Looked up where a gate asks, each repository once."""
    return Upstreams(place, ground.main, ground.heard).facts


def have_head(place: Place, pull: PullRequest) -> None:
    """Its commits, as objects: nothing is checked out. A fork's are there by the name of the pull request alone."""
    try:
        bring(place.git, place.remote, pull.head.commit)
    except OutsideError:
        words = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head")
        place.remote.git(place.root, *words, place.remote.url, adapter(place.settings.forge).pull_ref(pull.number))
        if place.git.resolve(pull.head.commit) is None:
            raise


def hidden_changes(git: Git, base: str, head: str) -> tuple[str, ...]:
    """Changes below models/ that a merge would make although the branch seems not to: histories merged crosswise."""
    if len(git.text("merge-base", "--all", base, head).split()) < 2:
        return ()
    try:
        tree = git.text("merge-tree", "--write-tree", base, head).split("\n")[0]
    except GitmlError:
        return ()  # it conflicts, so it cannot be merged
    rows = changes(git, f"{base}^{{tree}}", tree)
    guarded = [row.path for row in rows if DEPLOYMENT.fullmatch(inside(git, row.path))]
    told = (f"changes {name} in a way that its branch does not show: bring it up to date" for name in guarded)
    return (*told, *refusals(git, rows, base, head))
