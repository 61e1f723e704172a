"""One pull request judged: policy, roles and keys from the base branch, the deployment file from the head, as data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.signing import BelievedEvents, heard_or_unknown
from gitml.dvc.addresses import places_of
from gitml.dvc.remotes import Depot, depot
from gitml.errors import GitmlError, OutsideError
from gitml.forges.base import PullRequest
from gitml.forges.table import adapter
from gitml.gate.facts import Sources, case_of
from gitml.gate.lineage import lineage_of
from gitml.gate.modelfiles import DEPLOYMENT, inside, refusals
from gitml.gate.people import pull_of, teams_of
from gitml.gate.tree import Edit, Edits, edits, rows_between
from gitml.gate.version import Shelf
from gitml.gates.facts import Unknown
from gitml.git.commands import Git
from gitml.git.edit import bring
from gitml.policy.decision import Decision, decide
from gitml.policy.facts import Case
from gitml.spec.dvcconfig import DVC_CONFIG
from gitml.spec.policy import POLICY, Policy


@dataclass(frozen=True)
class Ground:
    """What all pull requests are judged by: ``main`` as the forge has it now, its policy, the ledger by its keys."""

    main: Mainline
    policy: Policy
    digest: str
    heard: BelievedEvents | Unknown
    depot: Depot | None = None

    def listening(self, heard: BelievedEvents | Unknown) -> Ground:
        """The same with the ledger as it is now."""
        return replace(self, heard=heard)


@dataclass(frozen=True)
class Judged:
    """``decision`` is None for a pull request that is no promotion. ``edit`` is the deployment file that it changes.

    ``refused`` are reasons for which it may not be merged at all.
    """

    pull: PullRequest
    ground: Ground
    edit: Edit | None = None
    case: Case | None = None
    decision: Decision | None = None
    refused: tuple[str, ...] = ()

    @property
    def is_promotion(self) -> bool:
        return self.decision is not None or bool(self.refused)

    @property
    def is_open(self) -> bool:
        return self.decision is not None and self.decision.is_open and not self.refused


@contextmanager
def ground(place: Place, main: Mainline | None = None) -> Iterator[Ground]:
    """Raises SpecError when the base branch has no policy.yaml that can be read."""
    main = main or place.newest(whole=True)
    policy, raw = main.policy(), main.file(POLICY) or b""
    yield Ground(main, policy, sha256(raw).hexdigest(), heard_or_unknown(place, policy), _remotes(place, main))


def _remotes(place: Place, main: Mainline) -> Depot | None:
    """The DVC remotes as the base branch names them: no branch vouches for itself by a store of its own.

    The key is near: no configuration of DVC counts, not this machine's either. Credentials are in the environment.
    """
    try:
        return depot(places_of(main.file(DVC_CONFIG) or b""))
    except GitmlError as exc:
        place.say(f"the DVC remotes cannot be read: {exc.message.splitlines()[0]}")
        return None


def judge(place: Place, ground: Ground, pull: PullRequest, *, until: datetime | None = None) -> Judged:
    """What policy says of merging the pull request's head into the base branch. Raises OutsideError when that fails.

    ``until``: reviews handed in later do not count, because it was merged then.
    """
    head, git = pull.head.commit, ground.main.git
    have_head(place, pull)
    found = edits(git, ground.main.commit, head)
    if not found.deployments:
        hidden = hidden_changes(git, ground.main.commit, head)
        return Judged(pull, ground, refused=(*found.refused, *hidden))
    edit = found.deployments[0]
    more = [e.path for e in found.deployments[1:]]
    refused = found.refused + ((f"changes {', '.join(more[:5])} as well: one deployment at a time",) if more else ())
    found = Edits((edit,), refused, found.stale)
    people = pull_of(place, pull.number)
    if not isinstance(people, Unknown) and people.head != head:
        raise OutsideError(
            f"pull request {pull.number} moved from {head[:12]} while it was judged", "it is judged again"
        )
    if until and not isinstance(people, Unknown) and not isinstance(people.reviews, Unknown):
        people = replace(people, reviews=tuple(r for r in people.reviews if r.time <= until))
    case = case_of(_sources(place, ground), found, edit, people)
    return Judged(pull, ground, edit, case, decide(ground.policy, case), case.refused)


def _sources(place: Place, ground: Ground) -> Sources:
    believed = ground.heard
    return Sources(
        shelf=Shelf(ground.main, ground.main.application(), ground.depot),
        repository=place.settings.repository,
        now=place.clock(),
        policy=ground.policy,
        believed=believed if isinstance(believed, Unknown) else believed.believed,
        lineage=lineage_of(place, ground.main),
        teams=teams_of(place, ground.policy),
    )


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
    rows = tuple(rows_between(git, f"{base}^{{tree}}", tree))
    guarded = [row.path for row in rows if DEPLOYMENT.fullmatch(inside(git, row.path))]
    told = (f"changes {name} in a way that its branch does not show: bring it up to date" for name in guarded)
    return (*told, *refusals(git, rows, base, head))
