"""``gitml doctor``: whether a repository, its forge and its tokens are set up for the loop, point by point.

Without ``fix`` nothing is written anywhere: what could be found out by a write alone is unknown, and said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from gitml import landlock
from gitml.agent.childlog import SERVER_LOG
from gitml.agent.state import default_state
from gitml.errors import GitmlError, OutsideError, UsageError
from gitml.forges.base import About, Branch, Forge, OnCommit
from gitml.forges.governed import GovernedForge
from gitml.forges.settings import Settings
from gitml.forges.table import connect, settings_from
from gitml.git.commands import Git
from gitml.http import HttpError
from gitml.models.quarantine import can_go_offline
from gitml.project.doctordetectors import detector_points
from gitml.project.doctorfix import mend
from gitml.project.doctorforge import beyond, own_points
from gitml.project.doctoridentity import identity
from gitml.project.doctorlooks import watching
from gitml.project.doctorpackage import package_point
from gitml.project.doctorpoint import Mark, Point
from gitml.project.doctorpolicy import asked, guarding
from gitml.project.doctorsites import site_points
from gitml.project.doctorsubjects import forgetting
from gitml.project.doctorupstreams import upstream_points
from gitml.project.render import Did, workflows
from gitml.publishing.status import CONTEXT
from gitml.retries import Patience
from gitml.spec import load_application
from gitml.spec.application import Application
from gitml.spec.dvcconfig import DVC_CONFIG, config_problems, default_remote

# A doctor is asked by a person who waits.
_PATIENCE = Patience(tries=3, total=20.0, answer=10.0)


def doctor(
    root: Path, env: Mapping[str, str], note: Callable[[str], None] = lambda _: None, *, fix: bool = False
) -> tuple[Point, ...]:
    """Every point, in the order in which they are best put right. ``fix``: what can be set on the forge is, first."""
    application = load_application(root)
    package = package_point(root, application, env)
    points = [
        _workflows(root),
        package,
        *_data(root, application),
        _trials(),
        _serving(),
        *detector_points(root, application),
        *site_points(root, application),
        *upstream_points(root, application, env),
    ]
    try:
        remote = _origin(root)
        settings = settings_from(env, remote)
    except GitmlError as exc:
        return (*points, Point("remote", Mark.MISSING, exc.message, exc.hint or "git remote add origin URL"))
    points.append(Point("remote", Mark.OK, f"{settings.repository} on {settings.web}"))
    points += _printed(settings.repository)
    points.append(_token(settings, env, application))
    if not settings.token:
        return (*points, *(_unasked(name, settings) for name in ("forge", "permissions", "protection")))
    try:
        with connect(settings, patience=_PATIENCE, note=note) as forge:
            if fix:
                points += mend(root, application, forge)
            return (*points, *_forge(forge, root, application, settings))
    except (HttpError, UsageError) as exc:
        return (*points, Point("forge", Mark.MISSING, exc.message, exc.hint))


def _unasked(name: str, settings: Settings) -> Point:
    return Point(name, Mark.UNKNOWN, "not asked: there is no token", f"export {settings.variable}, and call this again")


def _origin(root: Path) -> str:
    try:
        return Git(root).text("remote", "get-url", "origin").strip()
    except OutsideError:
        return ""


def _workflows(root: Path) -> Point:
    try:
        wrong = [file.path for file in workflows(root) if file.change is not Did.SAME]
    except GitmlError as exc:
        return Point("workflows", Mark.MISSING, exc.message.splitlines()[0], exc.hint)
    if wrong:
        return Point("workflows", Mark.MISSING, f"not as rendered: {', '.join(wrong)}", "gitml ci render; commit it")
    return Point("workflows", Mark.OK, "as gitml.yaml asks for")


def _data(root: Path, application: Application) -> Iterator[Point]:
    """The remote of the data: there must be one that CI reaches, and its key must not be in Git."""
    path = root / DVC_CONFIG
    content = path.read_bytes() if path.is_file() else b""
    problems = config_problems(content)
    if problems:
        yield Point("data remote", Mark.MISSING, str(problems[0]), problems[0].hint)
        return
    url = default_remote(content)
    if not url:
        todo = "dvc remote add --default NAME URL; commit .dvc/config"
        yield Point("data remote", Mark.MISSING, "no default remote, so CI cannot hand data over", todo)
    elif "://" not in url:
        yield Point("data remote", Mark.UNKNOWN, "a folder: only runners on this machine reach it", "or a bucket")
    else:
        yield Point("data remote", Mark.OK, url.partition("://")[0] + "://…")
        yield _credentials(application)


def _credentials(application: Application) -> Point:
    ci = application.ci
    if ci.oidc:
        return Point("data credentials", Mark.OK, f"the job's own identity, at {ci.oidc}")
    if ci.secrets:
        todo = "where the store knows it, `ci.oidc` needs no stored key"
        return Point("data credentials", Mark.OK, f"secrets of the forge: {', '.join(ci.secrets)}", todo)
    todo = "set ci.oidc or ci.secrets in gitml.yaml, unless the store is open to everybody"
    return Point("data credentials", Mark.UNKNOWN, "gitml.yaml names none", todo)


def _trials() -> Point:
    if can_go_offline():
        return Point("trial loads", Mark.OK, "new versions are tried without a network on this machine")
    todo = "where the agent runs, allow user namespaces, or forbid its container the network it does not need"
    return Point("trial loads", Mark.OK, "this kernel does not take the network from new versions that are tried", todo)


def _serving() -> Point:
    if landlock.version():
        return Point("model processes", Mark.OK, "on this machine models read their own files and start no program")
    todo = "where the agent runs, take a kernel with Landlock (Linux 5.13), or start it as root with --server-user"
    return Point("model processes", Mark.OK, "this kernel has no Landlock: models read what their user may read", todo)


def _printed(repository: str) -> Iterator[Point]:
    """Of the agents that keep their state where it is kept by default."""
    for path in sorted(default_state(repository, "any").parent.glob(f"*/{SERVER_LOG}")):
        what = f"what it printed, perhaps as it failed, is in {path}"
        yield Point(f"server's process of {path.parent.name}", Mark.OK, what)


_KINDS = {
    "ghp_": "of a person (classic)",
    "github_pat_": "of a person (fine-grained)",
    "gho_": "of a person, through an OAuth application",
    "ghu_": "of an app that acts for a person",
    "ghs_": "of an app",
    "glpat-": "of a person, a group or a project",
}
_COST = "what the bot pushes and opens starts no workflow, so a commit of it is reported on by the run that made it"


def _token(settings: Settings, env: Mapping[str, str], application: Application) -> Point:
    if not settings.token:
        return Point("token", Mark.MISSING, f"{settings.variable} is not set", f"export {settings.variable}")
    kind = next((words for prefix, words in _KINDS.items() if settings.token.startswith(prefix)), "of an unknown kind")
    if settings.token.startswith("ghs_") and env.get("GITHUB_ACTIONS") == "true" and not application.ci.app:
        kind = "of this job"
    if application.ci.app:
        return Point("token", Mark.OK, f"{kind}; in CI the bot acts as an app")
    if settings.forge == "gitlab":
        return Point("token", Mark.OK, f"{kind}; in CI the variables GITML_TOKEN of the default branch")
    return Point("token", Mark.OK, f"{kind}; in CI the job's own: {_COST}", "ci.app: true in gitml.yaml, and an app")


def _forge(forge: GovernedForge, root: Path, application: Application, settings: Settings) -> Iterator[Point]:
    about = forge.about()
    said = "private" if about.is_private else "public"
    yield Point("forge", Mark.OK, f"{about.name} is {said}, its default branch is {about.default_branch}")
    main = forge.commits.branch(about.default_branch)
    if main is None:
        yield Point("branch", Mark.MISSING, f"{about.default_branch} is not there yet", "git push origin HEAD")
        return
    yield from _permissions(forge, about, main)
    yield from _protection(forge, main)
    yield from asked("beyond the forge", lambda: beyond(forge, main))
    yield from asked("this forge", lambda: own_points(root, forge))
    yield _checked_in(forge, root, main)
    yield identity(forge, Git(root))
    yield from guarding(root, application, forge, main)
    yield from watching(root, application, settings, forge, main)
    yield from forgetting(root, application, forge, main)


def _permissions(forge: Forge, about: About, main: Branch) -> Iterator[Point]:
    """Harmless reads: what may not be read may not be written either."""
    reads: dict[str, Callable[[], object]] = {
        "pull-requests": lambda: forge.pulls.of_branch(main.name),
        "statuses": lambda: forge.commits.statuses(main.commit),
        "contents": lambda: forge.comments.list(OnCommit(main.commit)),
        "actions": lambda: forge.runs.of_commit(main.commit),
    }
    refused = [name for name, read in reads.items() if not _may(read)]
    if refused:
        todo = "give the token these permissions"
        yield Point("permissions", Mark.MISSING, f"may not read: {', '.join(refused)}", todo)
    elif about.may_write is None:
        yield Point("permissions", Mark.UNKNOWN, "may read all that is needed; writing is not tried here")
    elif about.may_write:
        yield Point("permissions", Mark.OK, "may read all that is needed, and write to the repository")
    else:
        yield Point("permissions", Mark.MISSING, "may read, but not write", "give the account the role write")


def _may(read: Callable[[], object]) -> bool:
    try:
        read()
    except HttpError as exc:
        if exc.status in (403, 404):
            return False
        raise
    return True


def _protection(forge: GovernedForge, main: Branch) -> Iterator[Point]:
    name = f"protection of {main.name}"
    if not main.is_protected:
        todo = f"require a pull request with an approval, and the status {CONTEXT}"
        yield Point(name, Mark.MISSING, "anybody who may write may push to it", todo)
        return
    try:
        rules = dict(forge.commits.rules(main.name))
    except HttpError as exc:
        yield Point(name, Mark.UNKNOWN, f"protected; its rules cannot be read: {exc.message}", exc.hint)
        return
    lacks = [word for word, there in _wanted(rules).items() if not there]
    if lacks and (unable := _unable(forge, main)):
        named = {"a pull request with an approval": "approvals", f"the status {CONTEXT}": "checks"}
        lacks = [word for word in lacks if named.get(word) not in unable]
        if not lacks and "pull_request" in rules:
            yield Point(name, Mark.OK, "nobody pushes to it, and no history is rewritten")
            return
    if lacks:
        yield Point(name, Mark.MISSING, f"does not require: {', '.join(lacks)}", "add it to the branch's rules")
    else:
        yield Point(name, Mark.OK, f"requires an approval and the status {CONTEXT}, and no history is rewritten")


def _unable(forge: GovernedForge, main: Branch) -> Mapping[str, str]:
    """What this forge cannot ask at all; an administrator is told."""
    try:
        there = forge.guards.protection(main.name)
    except HttpError:
        return {}
    return there.unable if there else {}


def _wanted(rules: Mapping[str, Mapping[str, object]]) -> dict[str, bool]:
    reviews = rules.get("pull_request", {}).get("required_approving_review_count")
    checks = rules.get("required_status_checks", {}).get("required_status_checks")
    contexts = [c.get("context") for c in checks if isinstance(c, dict)] if isinstance(checks, list) else []
    return {
        "a pull request with an approval": isinstance(reviews, int) and reviews > 0,
        f"the status {CONTEXT}": CONTEXT in contexts,
        "that no push is forced": "non_fast_forward" in rules,
    }


def _checked_in(forge: Forge, root: Path, main: Branch) -> Point:
    """What the forge runs is what the default branch has there, not what lies on this disk."""
    name = f"workflows on {main.name}"
    try:
        wanted = {file.path: file.wanted for file in workflows(root) if file.wanted is not None}
        there = {path: forge.commits.file(path, main.name) for path in wanted}
    except GitmlError as exc:
        return Point(name, Mark.UNKNOWN, exc.message.splitlines()[0], exc.hint)
    absent = [path for path, content in there.items() if content is None]
    if absent:
        return Point(name, Mark.MISSING, f"not there: {', '.join(absent)}", "merge the rendered workflows")
    other = [path for path, content in there.items() if content != wanted[path]]
    if other:
        return Point(name, Mark.UNKNOWN, f"differ from those here: {', '.join(other)}", "is this clone up to date?")
    return Point(name, Mark.OK, "the same as here")
