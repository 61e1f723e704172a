"""The files at the root link to what is there. (Sphinx sees to the pages under docs.)"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_OUTWARD = re.compile(r"\]\(https?://([^/)\s]+)")
HOSTS = {
    "cml.dev",
    "docs.github.com",
    "docs.zizmor.sh",
    "doi.org",
    "dvc.org",
    "github.com",
    "keepachangelog.com",
    "semver.org",
    "vega.github.io",
}
_LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "pipelines/README.md", "examples/README.md"]
)
def test_local_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    links = _LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_links_out_of_the_pages_go_to_hosts_that_are_there() -> None:
    """A host that nobody put in here by hand may be one that was made up."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "packages").glob("*/README.md")]
    found = {(page.name, host) for page in pages for host in _OUTWARD.findall(page.read_text(encoding="utf-8"))}
    assert {one for one in found if one[1] not in HOSTS} == set()


def test_the_readme_shows_its_picture_and_links_the_docs() -> None:
    links = _LINK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert "docs/images/train.svg" in links
    assert len(links) > 8


def test_pictures_fetch_nothing_from_elsewhere() -> None:
    pictures = sorted((ROOT / "docs" / "images").glob("*.svg"))
    assert pictures
    for picture in pictures:
        text = picture.read_text(encoding="utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.search(r"https?:|url\((?!#)|<script|<image", text), picture.name
