"""gitml's block in CODEOWNERS: whose review the forge asks for when desired state or its rules change.

Of several patterns that match a file the last one counts.
https://docs.github.com/en/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners
https://docs.gitlab.com/user/project/codeowners/
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from gitml.ci.base import CiSource
from gitml.ci.table import deciding
from gitml.errors import UsageError
from gitml.spec.policy import POLICY, Policy

# Where a forge looks, and in this order: the first one counts, the others are not read.
_ORDERS = {
    "github": (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"),
    "gitlab": ("CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS"),
}
_NEW = {name: f".{name}/CODEOWNERS" for name in _ORDERS}
_SHARED = "CODEOWNERS"
PLACES = tuple(dict.fromkeys(place for order in _ORDERS.values() for place in order))
_PLAIN = re.compile(r"[A-Za-z0-9_./ -]*")


def places(systems: Iterable[str], there: Collection[str]) -> tuple[str, ...]:
    """The files that the forges of these CI systems read, or would; ``there`` are those that exist.

    Systems that are no forge's own run beside either.

    >>> places(["github"], []), places(["gitlab"], [".github/CODEOWNERS"]), places(["gitlab", "github"], [])
    (('.github/CODEOWNERS',), ('.gitlab/CODEOWNERS',), ('CODEOWNERS',))
    """
    forges = [name for name in _ORDERS if name in systems]
    if not forges:
        return (next((place for place in PLACES if place in there), _SHARED),)
    read = {name: next((place for place in _ORDERS[name] if place in there), "") for name in forges}
    if len(forges) > 1 and not any(read.values()):
        return (_SHARED,)
    return tuple(dict.fromkeys(place or _NEW[name] for name, place in read.items()))


def marks(folder: str) -> tuple[str, str]:
    """The first and the last line of the block of the application in ``folder``."""
    place = f"{folder}/{POLICY}" if folder else POLICY
    return f"# gitml: begin, rendered from {place}; do not edit, run `gitml ci render`", f"# gitml: end, {place}"


def with_block(text: str, source: CiSource) -> str:
    """``text`` with gitml's block brought up to date, at its end if it is new, without it where there is no policy.

    Raises UsageError for a block that begins and does not end, and for a folder that no pattern can name.
    """
    before, after = _around(text, *marks(source.folder))
    if source.policy is None:
        return without_block(text, source)
    gap = "\n" if before and not before.endswith("\n") else ""
    return "".join([before, gap, *(f"{line}\n" for line in block(source, source.policy)), after])


def without_block(text: str, source: CiSource) -> str:
    """``text`` as it is without gitml's block; empty where nothing else is in it. Raises as ``with_block`` does."""
    before, after = _around(text, *marks(source.folder))
    rest = before + after
    return rest if rest == text or rest.strip() else ""


def _around(text: str, begin: str, end: str) -> tuple[str, str]:
    """What stands before and after the block; without one, everything stands before it."""
    lines = text.splitlines(keepends=True)
    plain = [line.rstrip() for line in lines]
    if begin not in plain and end not in plain:
        return text, ""
    if plain.count(begin) != 1 or plain.count(end) != 1 or plain.index(end) < plain.index(begin):
        raise UsageError("CODEOWNERS has half of gitml's block, or two of them", f"remove the lines from {begin!r} on")
    return "".join(lines[: plain.index(begin)]), "".join(lines[plain.index(end) + 1 :])


def block(source: CiSource, policy: Policy) -> list[str]:
    """The lines, with its marks. Whoever must approve for an environment owns its files; the last environment's
    approvers own the rules themselves."""
    if not _PLAIN.fullmatch(source.folder):
        raise UsageError(f"no pattern of CODEOWNERS can name {source.folder!r}", "rename the folder")
    begin, end = marks(source.folder)
    rulers = owners(policy, _approvers(policy)) or owners(policy, policy.roles)
    elsewhere = [path for path in deciding(source.application.ci.system) if not path.startswith(".github/")]
    rules = [source.in_repository(POLICY), ".github/", *elsewhere, source.in_repository(".dvc/config")]
    deployments = [
        _line(source.in_repository(f"models/*/{name}.yaml"), owners(policy, environment.approvals))
        for name, environment in policy.environments.items()
        if environment.approvals
    ]
    return [begin, *(_line(path, rulers) for path in rules if rulers), *deployments, end]


def _approvers(policy: Policy) -> Sequence[str]:
    """The roles of the last environment that asks for approvals: what is nearest to production."""
    asked = [tuple(e.approvals) for e in policy.environments.values() if e.approvals]
    return asked[-1] if asked else ()


def owners(policy: Policy, roles: Iterable[str]) -> list[str]:
    """The people and teams of roles, as CODEOWNERS names them, each once."""
    found: dict[str, str] = {}
    for role in roles:
        for name in (*(p.login for p in policy.roles[role].people), *policy.roles[role].teams):
            found.setdefault(name.lower(), f"@{name}")
    return list(found.values())


def _line(path: str, names: Sequence[str]) -> str:
    return " ".join(["/" + path.replace(" ", "\\ "), *names])
