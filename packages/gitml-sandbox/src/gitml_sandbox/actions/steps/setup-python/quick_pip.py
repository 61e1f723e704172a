"""``pip`` of a job: what is installed already, with all it needs, is seen in a moment; everything else is pip's.

pip takes ten seconds to find that nothing is to be done for a package with a hundred dependencies.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata

from packaging.requirements import InvalidRequirement, Requirement


def asked(words: list[str]) -> list[Requirement] | None:
    """The packages of a plain ``install NAME… -r FILE…``; None for anything else."""
    if words[:1] != ["install"]:
        return None
    found: list[Requirement] = []
    rest = iter(words[1:])
    try:
        for word in rest:
            if word in ("-r", "--requirement"):
                found += listed(next(rest))
            elif word not in ("-q", "--quiet"):
                found.append(Requirement(word))
    except (InvalidRequirement, OSError, StopIteration):
        return None
    return found


def listed(path: str) -> Iterator[Requirement]:
    """Raises InvalidRequirement for a line that is more than a name with versions."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            text = re.sub(r"(^|\s)#.*", "", line).strip()
            if text:
                yield Requirement(text)


def satisfied(wanted: list[Requirement]) -> bool:
    """Whether these and all that they need are here in versions that fit."""
    waiting, seen = list(wanted), set()
    spread: set[tuple[str, tuple[str, ...]]] = set()
    while waiting:
        requirement = waiting.pop()
        extras = tuple(sorted(requirement.extras))
        applies = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in (*extras, "")
        )
        if not applies or (str(requirement), extras) in seen:
            continue
        seen.add((str(requirement), extras))
        if requirement.url:
            return False
        try:
            have = head(requirement.name)
        except metadata.PackageNotFoundError:
            return False
        if not requirement.specifier.contains(have["version"][0], prereleases=True):
            return False
        if (requirement.name, extras) not in spread:
            spread.add((requirement.name, extras))
            waiting += needed(have.get("requires-dist", []), extras)
    return True


@cache
def head(name: str) -> dict[str, list[str]]:
    """The fields of a package's METADATA, without the whole page that follows and that `metadata` reads as a mail.

    Raises PackageNotFoundError.
    """
    found: dict[str, list[str]] = {}
    for line in (metadata.distribution(name).read_text("METADATA") or "").partition("\n\n")[0].splitlines():
        field, _, value = line.partition(": ")
        found.setdefault(field.lower(), []).append(value)
    if len(found.get("version", ())) != 1:
        raise metadata.PackageNotFoundError(name)
    return found


def needed(lines: list[str], extras: tuple[str, ...]) -> Iterator[Requirement]:
    for text in lines:
        if not extras and re.search(r";\s*extra\s*==\s*['\"][^'\"]+['\"]\s*$", text):
            continue  # most lines of most packages, and nobody asked
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in (*extras, "")):
            requirement.marker = None
            yield requirement


def main() -> None:
    words = sys.argv[1:]
    wanted = asked(words)
    if wanted and satisfied(wanted):
        print(f"Installed already: {', '.join(sorted({r.name for r in wanted}))}")
        return
    os.execv(sys.executable, [sys.executable, "-m", "pip", *words])


if __name__ == "__main__":
    main()
