"""The models that a model is built on, as their own main branches and ledgers tell of them now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
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
from gitml.registry.used import UpstreamAt, versions_used
from gitml.spec.deployment import Pin
from gitml.spec.modelgraph import ModelAt, upstream_at
from gitml.spec.upstream import UpstreamNeed

Known = tuple[str, str]


@dataclass(frozen=True)
class OtherMain:
    """Where an upstream is: main of its application, its ``remote``, and the rules of its own policy.yaml. ``web`` is
    the repository's page, ``known`` its ledger where the caller has read it."""

    main: Mainline
    remote: Remote
    rules: EvidenceRules
    web: str
    known: BelievedEvents | Unknown | None = None

    @cached_property
    def heard(self) -> BelievedEvents | Unknown:
        """Its ledger by its own rules, or why that is not known."""
        if self.known is not None:
            return self.known
        try:
            return heard_in(self.main.git, self.remote, self.rules)
        except GitmlError as exc:
            return Unknown(f"its ledger cannot be read: {exc.message.splitlines()[0]}")


@dataclass(frozen=True)
class Upstreams:
    """Looks upstreams up, each repository once. ``main`` is the default branch of the application that needs them, and
    ``heard`` its ledger where the caller has read it.

    What cannot be found out is an ``Unknown`` in the facts, with the reason.
    """

    place: Place
    main: Mainline
    heard: BelievedEvents | Unknown | None = None
    _seen: dict[tuple[str, str, str], OtherMain | Unknown] = field(default_factory=dict, repr=False)

    def facts(self, record: Record, environment: str) -> tuple[UpstreamFact, ...] | Unknown:
        """All that the version needs for ``environment``."""
        try:
            needs = self.main.application().models[record.model].needs
        except (GitmlError, KeyError) as exc:
            return Unknown(f"gitml.yaml does not say what {record.model} is built on: {exc}")
        return tuple(self.fact(name, need, need.environment or environment, record) for name, need in needs.items())

    def open_promotions(self, model: str, environment: str) -> dict[ModelAt, tuple[PullRequest, ...]]:
        """Of the upstreams in this repository: the open pull requests that promote them to where they must run.

        Raises OutsideError when the forge cannot be asked.
        """
        found, named = {}, self.main.application().models.get(model)
        for name, need in named.needs.items() if named else ():
            at = upstream_at(name, need, self.here)
            if not at.repository:
                found[at] = self._promotions(at, need.environment or environment)
        return {at: pulls for at, pulls in found.items() if pulls}

    @property
    def here(self) -> str:
        return self.main.git.prefix.strip("/")

    def other(self, at: ModelAt, need: UpstreamNeed) -> OtherMain | Unknown:
        """The main branch that ``at`` is on."""
        key = (at.repository, at.application, need.branch)
        if key not in self._seen:
            self._seen[key] = self._read(at, need)
        return self._seen[key]

    def fact(self, name: str, need: UpstreamNeed, where: str, record: Record) -> UpstreamFact:
        """Of one of them: what ``record`` was made with, and what is champion in the environment ``where``."""
        at = upstream_at(name, need, self.here)
        told = str(at) if need.is_elsewhere else at.model
        other = self.other(at, need)
        if isinstance(other, Unknown):
            return UpstreamFact(name, told, where, other, other)
        try:
            promotions: tuple[int, ...] | Unknown = tuple(pull.number for pull in self._promotions(at, where))
        except GitmlError as exc:
            promotions = Unknown(f"which promotions are open is not known: {exc.message.splitlines()[0]}")
        used, how = _used(other, at.model, need, where, record)
        return UpstreamFact(name, told, where, used, _running(other, at.model, where), how, promotions)

    def _promotions(self, at: ModelAt, environment: str) -> tuple[PullRequest, ...]:
        """None is known of another repository: its gate keeps the order there, and this one asks what runs."""
        if at.repository:
            return ()
        there = Mainline(Git(self.main.git.root, _prefix(at.application)), self.main.commit)
        prefix = f"{branch_of(there, PROMOTE, at.model, environment)}/"
        found = (p for p in self.place.forge.merges.under(prefix) if p.base.branch == self.place.branch)
        return tuple(p for p in found if not p.head.branch.endswith("-shadow"))  # it answers nobody

    def _read(self, at: ModelAt, need: UpstreamNeed) -> OtherMain | Unknown:
        try:
            if at.repository:
                return other_repository(self.place, at, need)
            main = Mainline(Git(self.main.git.root, _prefix(at.application)), self.main.commit)
            rules = EvidenceRules(
                main.policy(), self.place.settings.repository, self.place.clock(), self.place.settings.host
            )
            known = self.heard if at.application == self.here else None
            return OtherMain(main, self.place.remote, rules, self.place.settings.home, known)
        except GitmlError as exc:
            return Unknown(f"{at} cannot be read: {str(exc).splitlines()[0]}")


def remote_of(need: UpstreamNeed, secret: Callable[[str], str]) -> Remote:
    """The repository that ``need`` names, with its token. Raises UsageError where the token is not there."""
    url = need.repository or ""
    token = secret(need.token) if need.token else ""
    if need.token and not token:
        raise UsageError(f"the secret {need.token} is not set here", f"set it to a token that may read {url}")
    return Remote(url if urlsplit(url).scheme == "file" else f"{url}.git", token)


def other_repository(place: Place, at: ModelAt, need: UpstreamNeed) -> OtherMain:
    """Main of another repository, fetched into a folder of its own below this clone's .git, as its ledger will be.

    Raises OutsideError when it cannot be reached, UsageError without the token, SpecError for its policy.yaml.
    """
    remote = remote_of(need, place.secret)
    mirror = _mirror(place, at.repository)
    commit = tip_of(mirror, remote, need.branch)
    if commit is None:
        raise OutsideError(f"it has no branch {need.branch}", "name its default branch: `branch: …`")
    store = Git(mirror, _prefix(at.application))
    bring(store, remote, commit, whole=True)
    # Else Git would fetch all of it again when that branch moves.
    store.read("update-ref", f"refs/gitml/seen/{need.branch}", commit)
    main = Mainline(store, commit)
    web, name = place_of(at.repository)
    name = name or "/".join(urlsplit(at.repository).path.removesuffix(".git").strip("/").split("/")[-2:])
    rules = EvidenceRules(main.policy(), name, place.clock(), host_of(web))
    return OtherMain(main, remote, rules, at.repository.removesuffix(".git"))


def _mirror(place: Place, url: str) -> Path:
    common = place.git.text("rev-parse", "--path-format=absolute", "--git-common-dir").strip()
    folder = Path(common, "gitml", "upstreams", sha256(url.encode()).hexdigest()[:20])
    if not (folder / ".git" / "HEAD").exists():
        folder.mkdir(parents=True, exist_ok=True)
        git(folder, "init", "--quiet", "--template=", ".")
    return folder


def _prefix(folder: str) -> str:
    return f"{folder}/" if folder else ""


def _used(
    other: OtherMain, model: str, need: UpstreamNeed, environment: str, record: Record
) -> tuple[tuple[Known, ...] | Unknown, str]:
    main = other.main
    try:
        found = versions_used(record, need, UpstreamAt(main.git, main.commit, model, environment))
    except GitmlError as exc:
        return Unknown(str(exc).splitlines()[0]), ""
    if found.why_not:
        return Unknown(found.why_not), ""
    return tuple((pin.version, pin.digest) for pin in found.pins), found.told_by


def _running(other: OtherMain, model: str, environment: str) -> Known | Unknown:
    """What main pins there as champion, once signed evidence says that it came there."""
    try:
        state = other.main.deployment(model, environment)
    except GitmlError as exc:
        return Unknown(str(exc).splitlines()[0])
    if state is None:
        return Unknown("nothing is deployed there")
    if isinstance(other.heard, Unknown):
        return other.heard
    pin = state.champion
    why = _unconfirmed(other.heard, model, environment, pin)
    return Unknown(why) if why else (pin.version, pin.digest)


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
