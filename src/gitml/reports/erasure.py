"""The text of a pull request that asks for an erasure: what holds the person, what goes, what stays and how to end it.

It never says who it is. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gitml.reports.escape import code, prose, row
from gitml.reports.figures import plural


@dataclass(frozen=True)
class ErasureStory:
    """``data``: path, digest, and whether main has it now. ``versions``: model, version, and where it runs.
    ``removed``: path and rows that this pull request takes out; ``kept``: why other data of main are not changed here.
    ``logged``: model and rows in the traffic. ``unknown``: what could not be looked into."""

    request: str
    retrain_by: str
    data: Sequence[tuple[str, str, bool]] = ()
    versions: Sequence[tuple[str, str, str]] = ()
    removed: Sequence[tuple[str, int]] = ()
    kept: Sequence[str] = ()
    logged: Sequence[tuple[str, int]] = ()
    unknown: Sequence[str] = ()


def erasure_text(story: ErasureStory) -> str:
    """The body, as Markdown."""
    parts = [f"Somebody asked to be erased: request {code(story.request)}. Nothing here says who it is."]
    parts += [_data(story), _versions(story), _here(story), _after(story), _stays(story)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _data(story: ErasureStory) -> str:
    if not story.data:
        return "**Data.** No version of the declared data holds them."
    rows = [row([code(path), code(digest[:12]), "yes" if now else ""]) for path, digest, now in story.data]
    return "\n".join(["**Data that hold them**", "", row(["data", "version", "on main now"]), "|---|---|---|", *rows])


def _versions(story: ErasureStory) -> str:
    if not story.versions:
        return ""
    rows = [row([code(model), code(version), prose(runs) or "–"]) for model, version, runs in story.versions]
    head = ["**Models that were trained on them**", "", row(["model", "version", "runs in"]), "|---|---|---|"]
    return "\n".join([*head, *rows, "", f"They are to be trained again by **{story.retrain_by}**."])


def _here(story: ErasureStory) -> str:
    lines = [f"- {plural(rows, 'row')} taken out of {code(path)}" for path, rows in story.removed]
    lines += [f"- not changed here: {prose(text)}" for text in story.kept]
    lines += [f"- not looked into: {prose(text)}" for text in story.unknown]
    return "\n".join(["**This pull request**", "", *lines]) if lines else ""


def _after(story: ErasureStory) -> str:
    logged = [f"{plural(rows, 'logged prediction')} of {code(model)}" for model, rows in story.logged]
    what = f" ({', '.join(logged)})" if logged else ""
    return (
        f"**When it is merged**, the job of main empties their rows in the traffic{what}, their labels and their "
        "business events, and signs what it did. Stages make their outputs again from the data without them."
    )


def _stays(story: ErasureStory) -> str:
    request = story.request
    return (
        "**What stays until somebody ends it**\n\n"
        f"- Old versions of the data, and what was derived from them: `gitml subject gc --request {request}` lists "
        "them for the cache and each remote, deletes them with `--yes`, and says which remotes it did not reach.\n"
        "- Models that were trained on them, until the versions above run nowhere.\n"
        "- Clones, caches of other machines, backups, and old versions that an object store keeps by itself."
    )
