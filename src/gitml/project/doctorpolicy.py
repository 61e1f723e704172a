"""Points of `gitml doctor` where there is a policy.yaml: every gap between it and what guards the forge."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from gitml import clock
from gitml.ci.codeowners import PLACES, marks, places
from gitml.ci.github.gate import ENVIRONMENT
from gitml.ci.wanted import SIGNING_KEY
from gitml.errors import SpecError
from gitml.fields import EvidenceKind
from gitml.forges.base import Branch
from gitml.forges.governed import POSTED_LAST, GovernedForge, Protection
from gitml.forges.table import FORGES
from gitml.gate.status import context_of
from gitml.git.commands import Git
from gitml.git.ledger import BRANCH as LEDGER
from gitml.git.ledger import LOOKS
from gitml.http import HttpError
from gitml.kinds import signed_by
from gitml.project.doctorpoint import Mark, Point
from gitml.publishing.status import CONTEXT
from gitml.spec.application import Application
from gitml.spec.policy import POLICY, Policy, load_policy

# What the workflows sign, and what agents and CI report.
SIGNED = signed_by("ci")
_SOON = timedelta(days=30)
# Where a secret is for all protected branches, these are, too: only jobs of main push to them.
_OWN = (LEDGER, LOOKS)


def guarding(root: Path, application: Application, forge: GovernedForge, main: Branch) -> Iterator[Point]:
    """Nothing where there is no policy.yaml, or one that is wrong: `gitml check` tells what."""
    if not (root / POLICY).is_file():
        return
    try:
        policy = load_policy(root)
    except SpecError as exc:
        yield Point("policy", Mark.MISSING, str(exc.problems[0]), "gitml check")
        return
    yield from _default_branch(application, main)
    yield from asked("rules", lambda: _rules(root, application, forge, main))
    yield _owners(root, application.ci.system)
    if runs_here(application):
        yield from asked("environment", lambda: environment(forge, main, ENVIRONMENT))
        yield from asked("signing key", lambda: secret(forge, ENVIRONMENT, SIGNING_KEY, "signing key"))
    else:
        yield from _elsewhere(application.ci.system[0], policy)
    yield _keys(policy, application)
    yield from asked("ledger", lambda: added_to(forge, LEDGER, f"ledger {LEDGER}"))
    yield from asked("people", lambda: _people(policy, forge, application))
    yield from asked("bot", lambda: _bot(application, forge))


def runs_here(application: Application) -> bool:
    """Whether the forge itself runs the jobs, so that it knows their keys and runs."""
    return application.ci.system[0] in FORGES


def _elsewhere(system: str, policy: Policy) -> Iterator[Point]:
    todo = "see who may use each: docs/reference/ci-systems.md says what keeps them apart there"
    yield Point("keys of jobs", Mark.UNKNOWN, f"{system} holds them, and the forge knows nothing of that", todo)
    if policy.trust.branch_runs == "accept":
        said = f"no forge vouches for runs of {system}, so no version is `trained` until main trained it again"
        yield Point("branch runs", Mark.MISSING, said, "trust: {branch_runs: reproduce} in policy.yaml")


def asked(name: str, points: Callable[[], Iterator[Point]]) -> list[Point]:
    """Most of it only administrators may read."""
    try:
        return list(points())
    except HttpError as exc:
        if exc.status not in (401, 403, 404):
            raise
        return [Point(name, Mark.UNKNOWN, f"cannot be read: {exc.message}", "ask an administrator to call this")]


def _default_branch(application: Application, main: Branch) -> Iterator[Point]:
    said = application.ci.branch
    if said != main.name:
        what = f"the default branch is {main.name}, gitml.yaml says {said}: the workflows listen to the wrong one"
        yield Point("default branch", Mark.MISSING, what, f"ci: {{branch: {main.name}}} in gitml.yaml; gitml ci render")


def wanted(contexts: tuple[str, ...]) -> Protection:
    """What the default branch needs so that nothing gets past the gate, whose status comes last in ``contexts``.

    Only that one has a single source: training's is also posted for promotions, by the app of the gate.
    """
    return Protection(
        checks={**dict.fromkeys(contexts), contexts[-1]: POSTED_LAST},
        pull_request=True,
        approvals=1,
        code_owners=True,
        dismiss_stale=True,
        last_push=True,
        admins=True,
    )


def contexts_of(root: Path, application: Application) -> tuple[str, ...]:
    """The statuses to require. Training posts none where no model has stages."""
    gate = context_of(application.application, Git(root).prefix.rstrip("/"))
    trains = any(m.origin == "pipeline" for m in application.models.values())
    return (CONTEXT, gate) if trains else (gate,)


def _rules(root: Path, application: Application, forge: GovernedForge, main: Branch) -> Iterator[Point]:
    name = f"gate on {main.name}"
    contexts = contexts_of(root, application)
    there = forge.guards.protection(main.name)
    if there is None:
        todo = "gitml doctor --fix, as an administrator"
        yield Point(name, Mark.MISSING, f"{main.name} is not protected: whoever may write goes around the gate", todo)
        return
    lacks = _lacks(there, wanted(contexts))
    if lacks:
        yield Point(name, Mark.MISSING, f"not asked: {'; '.join(lacks)}", "gitml doctor --fix, as an administrator")
    else:
        yield Point(name, Mark.OK, "status, stale reviews, code owners and administrators as the policy needs them")
    if contexts[-1] in there.checks:
        yield _source(application, contexts[-1], there.checks[contexts[-1]])


def _source(application: Application, context: str, app: int | None) -> Point:
    """Who may post the gate's status. Nobody can tell a workflow of main from one of a branch by the jobs' app."""
    name, gap = "source of the status", "anybody who may write can post it"
    believed = "agents believe signatures alone"
    if app is None and application.ci.app:
        return Point(name, Mark.MISSING, gap, f"choose your app as the expected source of {context} in the rules")
    if app is None:
        todo = "gitml doctor --fix, as an administrator, once the gate has run: that pins it to the jobs' app"
        return Point(name, Mark.UNKNOWN, f"{gap}, and {believed}", todo)
    if application.ci.app:
        return Point(name, Mark.OK, "only an app can post it")
    what = f"only the jobs' app can post it; a workflow of a branch acts as it too, and {believed}"
    return Point(name, Mark.OK, what, "an app of its own (ci.app) closes the gap")


def _lacks(there: Protection, needed: Protection) -> list[str]:
    checks = () if "checks" in there.unable else needed.checks
    absent = [f"the status {context}" for context in checks if context not in there.checks]
    words = {
        "pull_request": "a pull request for every change",
        "code_owners": "a review of code owners",
        "dismiss_stale": "that a push dismisses approvals",
        "last_push": "an approval by somebody else than the last who pushed",
        "admins": "all of that of administrators too",
    }
    absent += [said for flag, said in words.items() if not getattr(there, flag) and flag not in there.unable]
    if there.approvals < needed.approvals and "approvals" not in there.unable:
        absent.append("an approval")
    return absent + (["that history is never rewritten"] if there.may_rewrite else [])


def _owners(root: Path, systems: Sequence[str]) -> Point:
    """What is wrong with the first of the files that forges read, if anything."""
    git = Git(root)
    there = [place for place in PLACES if (git.top / place).is_file()]
    points = [_owned(git.top, path, *marks(git.prefix.rstrip("/"))) for path in places(systems, there)]
    return next((point for point in points if point.mark is not Mark.OK), points[0])


def _owned(top: Path, path: str, begin: str, end: str) -> Point:
    """Lines after gitml's block win over it."""
    lines = (top / path).read_text(encoding="utf-8", errors="replace").splitlines() if (top / path).is_file() else []
    if begin not in lines or end not in lines:
        return Point("owners", Mark.MISSING, f"{path} does not name the owners", "gitml ci render; commit it")
    rest = [line for line in lines[lines.index(end) + 1 :] if line.strip() and not line.strip().startswith("#")]
    if rest:
        return Point(
            "owners", Mark.UNKNOWN, f"{path} has lines after gitml's, which win over it", "move them before it"
        )
    return Point("owners", Mark.OK, f"{path} asks for the reviews that policy.yaml wants")


def environment(forge: GovernedForge, main: Branch, called: str) -> Iterator[Point]:
    """What is secret must be where the default branch alone gets it."""
    name, there = f"environment {called}", forge.guards.environment(called)
    fix = "gitml doctor --fix, as an administrator"
    if there is None:
        yield Point(name, Mark.MISSING, "is not there, so no job of main alone has its secrets", fix)
    elif there.branches is None:
        said = "every protected branch" if there.protected_only else "every branch"
        yield Point(name, Mark.MISSING, f"{said} may use it, and so has its secrets", fix)
    elif [b for b in there.branches if not (there.protected_only and b in _OWN)] != [main.name]:
        others = ", ".join(b for b in there.branches if b != main.name) or "no branch"
        todo = fix if main.name not in there.branches else f"in its settings, remove all but {main.name}"
        yield Point(name, Mark.MISSING, f"{others} may use it", todo)
    else:
        yield Point(name, Mark.OK, f"for {main.name} alone")


def secret(forge: GovernedForge, environment: str, key: str, name: str, todo: str = "") -> Iterator[Point]:
    """``todo``: how to get one, by default one that signs."""
    what_for = "look people up with, so nobody is found" if todo else "sign with, so nothing is signed"
    todo = todo or f"gitml evidence keygen; its private half becomes the secret {key} of the Environment {environment}"
    if key in forge.guards.secrets(""):
        what = f"{key} is a secret of the repository: a workflow on any branch reads it"
        yield Point(name, Mark.MISSING, what, f"delete it there, and use another key: {todo}")
    elif forge.guards.environment(environment) is None or key not in forge.guards.secrets(environment):
        yield Point(name, Mark.MISSING, f"nothing to {what_for}", todo)
    else:
        yield Point(name, Mark.OK, f"a secret of the Environment {environment}")


def _keys(policy: Policy, application: Application) -> Point:
    """Of the keys whose signatures count, which kinds of evidence may be signed now, and in a month."""
    now = clock.now()
    # Gates that ask what monitors saw wait for ever where nobody may sign it.
    looks: tuple[EvidenceKind, ...] = ("look",) if policy.looks_within else ()
    canaries: tuple[EvidenceKind, ...] = ("canary",) if policy.judges_candidates else ()
    # Nobody is ever erased where gitml.yaml names no subjects.
    own = SIGNED if application.subjects else tuple(kind for kind in SIGNED if kind != "erased")
    needed = (*own, *looks, *canaries)
    unsigned = [kind for kind in needed if not _valid(policy, kind, now)]
    if unsigned:
        todo = "add the line of the .pub file to `keys` in policy.yaml, with these purposes, by a pull request"
        return Point("keys", Mark.MISSING, f"policy.yaml trusts no key to sign: {', '.join(unsigned)}", todo)
    soon = [kind for kind in needed if not _valid(policy, kind, now + _SOON)]
    if soon:
        return Point("keys", Mark.UNKNOWN, f"in a month no key may sign: {', '.join(soon)}", "add the next one in time")
    return Point("keys", Mark.OK, f"{len(policy.keys)} in policy.yaml")


def _valid(policy: Policy, kind: EvidenceKind, at: datetime) -> bool:
    return any(kind in k.purposes and k.since <= at and (not k.until or at < k.until) for k in policy.keys.values())


def added_to(forge: GovernedForge, branch: str, name: str) -> Iterator[Point]:
    """Whether a branch of signed statements may be rewritten."""
    if forge.commits.branch(branch) is None:
        yield Point(name, Mark.UNKNOWN, "is not there yet: what is signed first makes it", "call this again then")
        return
    there = forge.guards.protection(branch)
    if there is None or there.may_rewrite:
        todo = "gitml doctor --fix, as an administrator"
        yield Point(name, Mark.MISSING, "may be rewritten or deleted by whoever may write", todo)
    elif there.pull_request or there.checks:
        todo = "let jobs push to it: ask for no pull request and no status there"
        yield Point(
            name, Mark.MISSING, "evidence cannot be added: it asks for more than that nothing is rewritten", todo
        )
    else:
        yield Point(name, Mark.OK, "only ever added to")


def _people(policy: Policy, forge: GovernedForge, application: Application) -> Iterator[Point]:
    """Whoever has a role must be there, and may write: the forge asks no others as code owners."""
    wrong: list[str] = []
    people = {p.login.lower(): p for role in policy.roles.values() for p in role.people}
    for person in people.values():
        found = forge.people.find(person.login)
        if found is None:
            wrong.append(f"{person.login} is not there")
        elif person.id is not None and found.id != person.id:
            wrong.append(f"{person.login} has the id {found.id}, not {person.id}: another person")
        elif (level := forge.people.permission(person.login)) in ("read", "triage", "none"):
            wrong.append(f"{person.login} may not write ({level})")
    teams = dict.fromkeys(team for role in policy.roles.values() for team in role.teams)
    hidden = [team for team in teams if forge.people.members(team) is None]
    if wrong:
        yield Point(
            "people", Mark.MISSING, "; ".join(wrong), "put it right in policy.yaml, or give them the role write"
        )
    elif not hidden:
        yield Point("people", Mark.OK, f"{len(people)} people and {len(teams)} teams of policy.yaml are there")
    if hidden:
        todo = "an app with the permission members: read" if not application.ci.app else "give the app members: read"
        yield Point("teams", Mark.UNKNOWN, f"not to be seen with this token: {', '.join(hidden)}", todo)


def _bot(application: Application, forge: GovernedForge) -> Iterator[Point]:
    """A job's own token opens pull requests only where that is allowed."""
    if application.ci.app:
        yield Point("bot", Mark.OK, "an app proposes promotions")
    elif forge.guards.jobs_may_open():
        yield Point("bot", Mark.OK, "jobs may open pull requests, and their approvals count for no role")
    else:
        todo = "gitml doctor --fix, as an administrator; or an app (ci.app)"
        yield Point("bot", Mark.MISSING, "jobs may not open pull requests: nothing is proposed", todo)
