"""gitml's block in CODEOWNERS: its lines, and that it touches nobody else's."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitml.ci.base import CiSource
from gitml.ci.codeowners import marks, with_block
from gitml.errors import UsageError
from gitml.spec.application import Application, Ci
from gitml.spec.policy import Policy
from gitml_sandbox.forge.codeowners import parse

APPLICATION = Application.model_validate(
    {"application": "app", "models": {"m": {"artifact": "m.onnx", "metrics": "m.json"}}}
)
ROLES = {"ops": {"people": ["olga", "Otto"]}, "risk": {"people": ["rita", "OLGA"], "teams": ["acme/risk"]}}
ENVIRONMENTS = {"staging": {"approvals": {"ops": 1}}, "production": {"approvals": {"ops": 1, "risk": 1}}}


def source(folder: str = "", environments: Any = None, roles: Any = None) -> CiSource:
    policy = Policy.model_validate({"roles": roles or ROLES, "environments": environments or ENVIRONMENTS})
    return CiSource(APPLICATION, (), folder, "gitml==1", hashed=False, policy=policy)


NOBODY = CiSource(APPLICATION, (), "", "gitml==1", hashed=False)


def test_whoever_approves_owns_and_who_approves_last_owns_the_rules() -> None:
    lines = with_block("", source()).splitlines()
    assert lines[1:-1] == [
        "/policy.yaml @olga @Otto @rita @acme/risk",
        "/.github/ @olga @Otto @rita @acme/risk",
        "/.dvc/config @olga @Otto @rita @acme/risk",
        "/models/*/staging.yaml @olga @Otto",
        "/models/*/production.yaml @olga @Otto @rita @acme/risk",
    ]


def test_what_jobs_of_other_systems_run_is_owned_too() -> None:
    """Whatever lies beside a rendered file may ask for the same keys."""
    spec = APPLICATION.model_copy(update={"ci": Ci(system=("jenkins", "airflow", "gitlab"))})
    lines = with_block("", replace(source("app"), application=spec)).splitlines()
    owned = [line.partition(" ")[0] for line in lines[1:-1] if line.endswith("@olga @Otto @rita @acme/risk")]
    rules = ["/app/policy.yaml", "/.github/", "/.jenkins/", "/dags/", "/.gitlab/ci/", "/.gitlab-ci.yml"]
    assert owned == [*rules, "/app/.dvc/config", "/app/models/*/production.yaml"]


def test_an_independent_reader_finds_the_owners_in_it() -> None:
    """The sandbox's own reader, which follows GitHub's page."""
    rules = parse(with_block("* @everybody\n", source("my apps/app")), "CODEOWNERS")
    assert rules.mistakes == ()
    for path, wanted in {
        "my apps/app/policy.yaml": {"@olga", "@Otto", "@rita", "@acme/risk"},
        "my apps/app/models/m/staging.yaml": {"@olga", "@Otto"},
        ".github/workflows/x.yml": {"@olga", "@Otto", "@rita", "@acme/risk"},
        "my apps/app/models/m/versions/x.json": {"@everybody"},
    }.items():
        assert set(rules.owners(path)) == wanted, path


def test_environments_that_ask_nobody_have_no_owner_and_then_all_roles_own_the_rules() -> None:
    lines = with_block("", source(environments={"staging": {}})).splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == ["/policy.yaml", "/.github/", "/.dvc/config"]
    assert "@rita" in lines[1]


TEXT = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=20), max_size=5)


@given(TEXT, TEXT)
@settings(max_examples=60, deadline=None)
def test_lines_of_others_stay_byte_for_byte(before: list[str], after: list[str]) -> None:
    mine, others = with_block("", source()), source(environments={"prod": {"approvals": {"risk": 1}}})
    text = "".join(f"{line}\n" for line in before) + mine + "".join(f"{line}\n" for line in after)
    changed = with_block(text, others)
    assert with_block(changed, source()) == text
    gone = with_block(text, NOBODY)
    rest = "".join(f"{line}\n" for line in (*before, *after))
    assert gone == (rest if rest.strip() else "")


def test_it_is_added_at_the_end_also_where_the_last_line_does_not_end() -> None:
    text = with_block("* @all", source())
    assert text.startswith("* @all\n# gitml: begin")
    assert with_block(text, source()) == text


def test_applications_have_blocks_of_their_own() -> None:
    both = with_block(with_block("", source()), source("apps/two"))
    assert len(re.findall("# gitml: begin", both)) == 2
    assert "/apps/two/models/*/staging.yaml @olga" in both
    assert with_block(both, source("apps/two")) == both == with_block(both, source())


@pytest.mark.parametrize("broken", ["{begin}\n", "{end}\n", "{end}\n{begin}\n", "{begin}\n{begin}\n{end}\n"])
def test_half_a_block_is_refused(broken: str) -> None:
    begin, end = marks("")
    with pytest.raises(UsageError, match="half of gitml's block"):
        with_block(broken.format(begin=begin, end=end), source())


@pytest.mark.parametrize("folder", ["a*", "[a]", "!a", "a#b", "ä"])
def test_a_folder_that_a_pattern_cannot_name_is_refused(folder: str) -> None:
    with pytest.raises(UsageError, match="no pattern of CODEOWNERS"):
        with_block("", source(folder))
