"""`gitml doctor` says who can read which site."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conftest import gitml, write
from gitml.project.doctorpoint import Mark
from gitml.project.doctorsites import site_points
from gitml.spec import load_application

POLICY = "roles:\n  risk: {people: [rita]}\n  operations: {people: [olga]}\nenvironments:\n  production: {}\n"
VIEWS = "views:\n  risk: {pages: [audit]}\n  operations: {pages: [operations]}\n"
SPEC = "application: small\nmodels:\n  m: {artifact: m.onnx, metrics: m.json}\n"


def points(root: Path, publish: dict[str, str], policy: str = POLICY + VIEWS) -> list[tuple[str, Mark, str]]:
    lines = "".join(f"    {role}: {command}\n" for role, command in publish.items())
    write(root, {"policy.yaml": policy, "gitml.yaml": SPEC + (f"sites:\n  publish:\n{lines}" if lines else "")})
    return [(p.name, p.mark, f"{p.what} {p.todo}") for p in site_points(root, load_application(root))]


def test_nothing_is_said_where_no_role_has_a_site(tmp_path: Path) -> None:
    assert points(tmp_path, {}, POLICY) == []


def test_one_place_for_two_roles_is_no_access_control(tmp_path: Path) -> None:
    ((name, mark, told),) = points(tmp_path, {"risk": "rsync $SITE x:y", "operations": "rsync  $SITE x:y"})
    assert (name, mark) == ("sites", Mark.MISSING)
    assert "one site for all is no access control: the sites of risk and operations go to one place" in told


def test_artifacts_are_for_whoever_reads_the_repository(tmp_path: Path) -> None:
    ((_, mark, told),) = points(tmp_path, {})
    assert mark is Mark.OK
    assert "whoever can read the repository can read them" in told
    assert "one site for all is no access control" in told


@pytest.mark.parametrize(
    ("publish", "marks"), [({"risk": "a", "operations": "b"}, [Mark.OK]), ({"risk": "a"}, [Mark.OK])]
)
def test_places_of_their_own_are_well(tmp_path: Path, publish: dict[str, str], marks: list[Any]) -> None:
    assert [mark for _, mark, _ in points(tmp_path, publish)] == marks


def test_a_published_site_without_a_view_shows_everything(tmp_path: Path) -> None:
    found = points(tmp_path, {"risk": "a"}, POLICY)
    assert ("views", Mark.UNKNOWN) in [(name, mark) for name, mark, _ in found]


def test_check_knows_roles_and_models_of_views_and_sites(tmp_path: Path) -> None:
    views = "views:\n  rsk: {pages: [audit]}\n"
    write(tmp_path, {"gitml.yaml": SPEC, "policy.yaml": POLICY + views})
    done = gitml(tmp_path, "check")
    assert "there is no role 'rsk'" in done.out + done.err
    spec = SPEC + "sites:\n  publish: {rsik: echo}\n"
    write(tmp_path, {"gitml.yaml": spec, "policy.yaml": POLICY + "views:\n  risk: {models: [n]}\n"})
    done = gitml(tmp_path, "check")
    assert "gitml.yaml has no model 'n'" in done.out + done.err
    assert "there is no role 'rsik'" in done.out + done.err
