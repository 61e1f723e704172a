"""The models that a model is built on, as their own main branches and ledgers tell of them now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from gitml.control.change import PROMOTE, branch_of
from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.signing import BelievedEvents, heard_in
from gitml.errors import GitmlError, OutsideError, UsageError
from gitml.evidence.reader import EvidenceRules
from gitml.forges.base import PullRequest
from gitml.forges.settings import host_of, place_of
from gitml.gates.facts import Unknown, UpstreamFact
from gitml.git.commands import Git
from gitml.git.edit import bring, tip_of
from gitml.git.orphan import Remote
from gitml.git.runner import git
from gitml.registry.record import Record
from gitml.registry.used import versions_used
from gitml.spec.deployment import Pin
from gitml.spec.ensemble import Ensemble
from gitml.spec.modelgraph import ModelAt, upstream_at
from gitml.spec.upstream import UpstreamNeed

# Versions of an upstream that are looked through for the one that was used, from the newest on.
MOST_VERSIONS = 500
Known = tuple[str, str]


@dataclass(frozen=True)
class OtherMain:
    """Where an upstream is: main of its application, and its ledger by the keys of its own policy.yaml."""

    main: Mainline
    heard: BelievedEvents | Unknown
    web: str


@dataclass(frozen=True)
class Upstreams:
    """Looks upstreams up, each repository once. ``main`` is the default branch of the application that needs them.

    What cannot be found out is an ``Unknown`` in the facts, with the reason.
    """

    place: Place
    main: Mainline
    _seen: dict[tuple[str, str], OtherMain | Unknown] = field(default_factory=dict, repr=False)

    def facts(self, model: str, environment: str, record: Record | None = None) -> tuple[UpstreamFact, ...] | Unknown:
        """All that ``model`` needs for ``environment``. ``record``: the version whose upstreams are asked for; without
        one nothing is said of which were used."""
        try:
            needs = self.main.application().models[model].needs
        except (GitmlError, KeyError) as exc:
            return Unknown(f"gitml.yaml does not say what {model} is built on: {exc}")
        return tuple(self._fact(name, need, environment, record) for name, need in needs.items())

    def of_members(self, ensemble: Ensemble, environment: str) -> tuple[UpstreamFact, ...]:
        """What an ensemble pins, as upstreams: it was made with exactly these versions."""
        return tuple(self._member(pin.model, (pin.version, pin.digest), environment) for pin in ensemble.pins)

    def _member(self, model: str, pinned: Known, environment: str) -> UpstreamFact:
        fact = self._fact(model, UpstreamNeed(), environment, None)
        return replace(fact, used=(pinned,), told_by="the ensemble pins it")

    def open_promotions(self, model: str, environment: str) -> dict[ModelAt, tuple[PullRequest, ...]]:
        """Of the upstreams in this repository: the open pull requests that promote them to where they must run.

        Raises OutsideError when the forge cannot be asked.
        """
        needs = self.main.application().models[model].needs if model in self.main.application().models else {}
        found = {}
        for name, need in needs.items():
            at = upstream_at(name, need, self.here)
            if not at.repository:
                found[at] = self._promotions(at, need.environment or environment)
        return {at: pulls for at, pulls in found.items() if pulls}

    @property
    def here(self) -> str:
        return self.main.git.prefix.strip("/")

    def other(self, at: ModelAt, need: UpstreamNeed) -> OtherMain | Unknown:
        """The main branch that ``at`` is on."""
        key = (at.repository, at.application)
        if key not in self._seen:
            self._seen[key] = self._read(at, need)
        return self._seen[key]

    def _fact(self, name: str, need: UpstreamNeed, environment: str, record: Record | None) -> UpstreamFact:
        at = upstream_at(name, need, self.here)
        where = need.environment or environment
        told = str(at) if need.is_elsewhere else at.model
        other = self.other(at, need)
        if isinstance(other, Unknown):
            return UpstreamFact(name, told, where, other, other)
        try:
            promotions: tuple[int, ...] | Unknown = tuple(pull.number for pull in self._promotions(at, where))
        except GitmlError as exc:
            promotions = Unknown(f"which promotions are open is not known: {exc.message.splitlines()[0]}")
        used, how = _used(other, at.model, need, where, record) if record else (Unknown("nobody asked"), "")
        running, since = _running(other, at.model, where)
        return UpstreamFact(name, told, where, used, running, how, since, promotions)

    def _promotions(self, at: ModelAt, environment: str) -> tuple[PullRequest, ...]:
        """None is known of another repository: its gate keeps the order there, and this one asks what runs."""
        if at.repository:
            return ()
        there = Mainline(Git(self.main.git.root, _prefix(at.application)), self.main.commit)
        prefix = f"{branch_of(there, PROMOTE, at.model, environment)}/"
        return tuple(p for p in self.place.forge.merges.under(prefix) if p.base.branch == self.place.branch)

    def _read(self, at: ModelAt, need: UpstreamNeed) -> OtherMain | Unknown:
        try:
            if at.repository:
                return other_repository(self.place, at, need)
            main = Mainline(Git(self.main.git.root, _prefix(at.application)), self.main.commit)
            rules = EvidenceRules(
                main.policy(), self.place.settings.repository, self.place.clock(), self.place.settings.host
            )
            return OtherMain(main, _heard(main.git, self.place.remote, rules), self.place.settings.home)
        except GitmlError as exc:
            return Unknown(f"{at} cannot be read: {str(exc).splitlines()[0]}")


def other_repository(place: Place, at: ModelAt, need: UpstreamNeed) -> OtherMain:
    """Main and ledger of another repository, fetched into a folder of their own beside this clone's objects.

    Raises OutsideError when it cannot be reached, UsageError without the token, SpecError for its policy.yaml.
    """
    token = place.secret(need.token) if need.token else ""
    if need.token and not token:
        raise UsageError(f"the secret {need.token} is not set here", f"set it to a token that may read {at.repository}")
    mirror = _mirror(place, at.repository)
    is_web = urlsplit(at.repository).scheme != "file"
    remote = Remote(f"{at.repository}.git" if is_web else at.repository, token)
    commit = tip_of(mirror, remote, need.branch)
    if commit is None:
        raise OutsideError(f"it has no branch {need.branch}", "name its default branch: `branch: …`")
    store = Git(mirror, _prefix(at.application))
    bring(store, remote, commit, whole=True)
    main = Mainline(store, commit)
    web, name = place_of(at.repository)
    name = name or "/".join(urlsplit(at.repository).path.removesuffix(".git").strip("/").split("/")[-2:])
    rules = EvidenceRules(main.policy(), name, place.clock(), host_of(web))
    return OtherMain(main, _heard(store, remote, rules), at.repository.removesuffix(".git"))


def _heard(store: Git, remote: Remote, rules: EvidenceRules) -> BelievedEvents | Unknown:
    try:
        return heard_in(store, remote, rules)
    except GitmlError as exc:
        return Unknown(f"its ledger cannot be read: {exc.message.splitlines()[0]}")


def _mirror(place: Place, url: str) -> Path:
    common = place.git.text("rev-parse", "--path-format=absolute", "--git-common-dir").strip()
    folder = Path(common, "gitml", "upstreams", sha256(url.encode()).hexdigest()[:20])
    if not (folder / ".git" / "HEAD").exists():
        folder.mkdir(parents=True, exist_ok=True)
        git(folder, "init", "--quiet", "--template=", ".")
    return folder


def _prefix(folder: str) -> str:
    return f"{folder}/" if folder else ""


def _running(other: OtherMain, model: str, environment: str) -> tuple[Known | Unknown, datetime | None]:
    """What main pins there as champion, once signed evidence says that it came there; and since when main does."""
    try:
        state = other.main.deployment(model, environment)
    except GitmlError as exc:
        return Unknown(str(exc).splitlines()[0]), None
    if state is None:
        return Unknown("nothing is deployed there"), None
    pin = state.champion
    since = other.main.champion_since(model, environment, pin)
    if isinstance(other.heard, Unknown):
        return other.heard, since
    why = _unconfirmed(other.heard, model, environment, pin)
    return (Unknown(why) if why else (pin.version, pin.digest)), since


def _unconfirmed(heard: BelievedEvents, model: str, environment: str, pin: Pin) -> str:
    """Why no evidence says that the version runs there; '' where some does."""
    about = {"model": model, "environment": environment, "version": pin.version, "artifact": pin.digest}
    if heard.all("deployed", environment=environment):
        newest = heard.newest("deployed", **about)
        if newest is None:
            return f"main wants {pin.version}, but no agent has said yet that it serves"
        return "" if newest.binding.result == "passed" else f"the agent says that {pin.version} does not serve"
    came = [s for kind in ("promoted", "rolled-back") for s in heard.all(kind, **about)]
    if any(s.binding.result == "passed" for s in came):
        return ""
    return f"main wants {pin.version}, but no signed evidence says that it came there"


def _used(
    other: OtherMain, model: str, need: UpstreamNeed, environment: str, record: Record
) -> tuple[tuple[Known, ...] | Unknown, str]:
    """The versions that ``record`` can have been made with, and how that is known."""
    found = versions_used(record, need, _records(other.main, model))
    if found.versions:
        believed = tuple(known for one in found.versions if (known := _original(other.main, one)))
        if believed:
            return believed, f"its stages read {found.path}"
    if found.path:
        return Unknown(f"its stages read {found.path}, in bytes that are of no version of {model} on main"), ""
    created = datetime.fromisoformat(record.created)
    try:
        pin = other.main.champion_at(model, environment, created)
    except GitmlError as exc:
        return Unknown(str(exc).splitlines()[0]), ""
    if pin is None:
        return Unknown(f"no version of {model} was in {environment} when it was made, at {record.created}"), ""
    return ((pin.version, pin.digest),), f"that was in {environment} when it was made, at {record.created}"


def _records(main: Mainline, model: str) -> Iterator[Record]:
    for version in main.versions(model)[-MOST_VERSIONS:]:
        with suppress(GitmlError):  # one that cannot be read was used by nobody
            yield main.record(model, version)


def _original(main: Mainline, record: Record) -> Known | None:
    """As the record came to main: what it says of its files was not edited since."""
    try:
        first = main.original_record(record.model, record.version)
    except GitmlError:
        return None
    same = first.contents() == record.contents() and first.files[first.artifact] == record.files[record.artifact]
    return (first.version, first.files[first.artifact].sha256) if same else None
