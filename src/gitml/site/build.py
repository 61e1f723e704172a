"""``gitml site build``: the pages of a role in a folder, whole or not at all, and nothing that was there before."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from gitml.errors import UsageError
from gitml.site.exports import site_exports
from gitml.site.facts import SiteFacts
from gitml.site.pages import GROUPS, site_pages
from gitml.site.pageschanges import MOST_DEPLOYMENT_PAGES
from gitml.site.render import render
from gitml.site.views import seen_through
from gitml.spec.views import SiteView

# It tells a site from a folder of somebody's.
MARKER, _FORMAT = "site.json", "gitml site 1"
_ASSETS = {
    "pico.css": "pico.min.css",
    "pico-LICENSE.md": "pico-LICENSE.md",
    "site.css": "site.css",
    "icon.svg": "icon.svg",
}


@dataclass(frozen=True)
class BuiltSite:
    """What became of one role's site."""

    role: str
    folder: Path
    pages: int
    size: int


def site_files(facts: SiteFacts, role: str, view: SiteView, *, served: bool = False) -> Iterator[tuple[str, bytes]]:
    """Path and content of every file of a role's site. ``served``: pages may offer what a server answers."""
    seen = seen_through(facts, view)
    shell = site_shell(seen, role, view, served=served)
    for page in site_pages(seen, view.pages):
        yield page.path, render(page, shell)
    yield from site_exports(seen, view.pages)
    if "models" in view.pages:
        yield from training_charts(seen)
    for name, asset in _ASSETS.items():
        yield name, files("gitml.site").joinpath("assets", asset).read_bytes()
    told = {"format": _FORMAT, "role": role, "commit": facts.commit, "ledger": facts.ledger}
    yield MARKER, json.dumps(told, indent=1).encode() + b"\n"


def training_charts(facts: SiteFacts) -> Iterator[tuple[str, bytes]]:
    """Each picture once, in the order of the pages."""
    details = (detail for model in facts.models for detail in model.details.values())
    yield from {chart.file: chart.svg for detail in details for chart in detail.charts}.items()


def site_shell(facts: SiteFacts, role: str, view: SiteView, *, served: bool) -> Mapping[str, Any]:
    """What every page has."""
    linked = "models" in view.pages
    return {
        "facts": facts,
        "application": facts.application,
        "role": role,
        "home": facts.home,
        "folder": facts.folder,
        "commit": facts.commit,
        "time": facts.time,
        "ledger": facts.ledger,
        "served": served,
        "groups": view.pages,
        "pages": tuple((group, path, name) for group, (path, name, _) in GROUPS.items() if group in view.pages),
        "model_pages": {model.name for model in facts.models},
        "version_pages": {(m.name, version) for m in facts.models for version in m.details} if linked else set(),
        "deployment_pages": (
            {one.id for one in facts.deployments[:MOST_DEPLOYMENT_PAGES]} if "changes" in view.pages else set()
        ),
    }


def build(facts: SiteFacts, role: str, view: SiteView, out: Path) -> BuiltSite:
    """Write the site to ``out``. What an older one had there is gone afterwards: it may be shown no more.

    Raises UsageError when the folder holds something that is no site.
    """
    if out.exists() and not _may_be_replaced(out):
        raise UsageError(f"{out} is there and is no site", "choose an empty or a new folder with --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=out.parent, prefix=".site-"))
    try:
        pages, size = _write(fresh, site_files(facts, role, view))
        fresh.chmod(0o755)
        _take_the_place(fresh, out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return BuiltSite(role, out, pages, size)


def _may_be_replaced(out: Path) -> bool:
    """An empty folder, or one that `gitml site build` wrote and nobody made a repository of."""
    if not out.is_dir() or (out / ".git").exists():
        return False
    try:
        told = json.loads((out / MARKER).read_bytes())
    except FileNotFoundError:
        return not any(out.iterdir())
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and told.get("format") == _FORMAT


def _write(folder: Path, found: Iterator[tuple[str, bytes]]) -> tuple[int, int]:
    """How many pages, and how many bytes in all."""
    pages = size = 0
    made: set[Path] = set()
    for path, content in found:
        place = folder / path
        if place.parent not in made:
            place.parent.mkdir(parents=True, exist_ok=True)
            made.add(place.parent)
        place.write_bytes(content)
        pages += path.endswith(".html")
        size += len(content)
    return pages, size


def _take_the_place(fresh: Path, out: Path) -> None:
    """A folder that is full cannot be renamed over: the old one goes aside first."""
    if not out.exists():
        fresh.rename(out)
        return
    aside = Path(tempfile.mkdtemp(dir=out.parent, prefix=".site-"))
    try:
        out.rename(aside / "old")
        fresh.rename(out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
