"""What only a project of GitLab needs so that its pipelines can be relied on: schedules, variables, who may set them.

https://docs.gitlab.com/ci/variables/#restrict-pipeline-variables
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gitml.forges.governed import ForgeCheck
from gitml.forges.rest import Rest, Shape

_ROLE = "ci_pipeline_variables_minimum_override_role"
_STRICT = ("no_one_allowed", "owner")
_KEYS = ("GITML_SIGNING_KEY", "GITML_LOOKS_KEY", "GITML_TOKEN")
_TOKEN, _NEED_TOKEN = "GITML_TOKEN", ("gitml", "gitml-bot")
_FIX = "gitml doctor --fix, as an administrator"


def checks(rest: Rest, schedules: Mapping[str, str], *, fix: bool) -> Iterator[ForgeCheck]:
    """One for each thing; ``fix`` sets first what can be set."""
    project = rest.one("GET", "")
    branch = project.text("default_branch")
    if fix:
        _mend(rest, project, schedules, branch)
        project = rest.one("GET", "")
    yield _schedules(rest, schedules, branch)
    role = project.text_or(_ROLE, default="developer")
    said = f"{role} may set variables of a pipeline by hand, also of one whose jobs have a key"
    yield ForgeCheck(
        "pipeline variables", role in _STRICT, "nobody sets them by hand" if role in _STRICT else said, _FIX
    )
    yield from _variables(list(rest.pages("variables")))


def _mend(rest: Rest, project: Shape, schedules: Mapping[str, str], branch: str) -> None:
    if project.text_or(_ROLE) not in _STRICT:
        rest.call("PUT", "", {_ROLE: _STRICT[0]})
    there = _there(rest, branch)
    for name, times in schedules.items():
        if name not in there:
            body = {"description": name, "ref": branch, "cron": times, "cron_timezone": "UTC", "active": True}
            rest.call("POST", "pipeline_schedules", body, repeatable=False)


def _there(rest: Rest, branch: str) -> set[str]:
    """The schedules of the branch that are switched on, by their descriptions."""
    found = [s for s in rest.pages("pipeline_schedules") if s.text_or("ref").removeprefix("refs/heads/") == branch]
    return {s.text_or("description") for s in found if s.flag("active")}


def _schedules(rest: Rest, wanted: Mapping[str, str], branch: str) -> ForgeCheck:
    lacks = [name for name in wanted if name not in _there(rest, branch)]
    if lacks:
        return ForgeCheck("schedules", is_ok=False, said=f"not there, or off: {', '.join(lacks)}", todo=_FIX)
    return ForgeCheck("schedules", is_ok=True, said=f"{len(wanted)} on {branch}")


def _variables(found: list[Shape]) -> Iterator[ForgeCheck]:
    mine = [v for v in found if v.text("key") in _KEYS]
    open_to_all = sorted({v.text("key") for v in mine if not v.flag("protected")})
    todo = "in Settings, CI/CD, Variables: Protect variable"
    if open_to_all:
        said = f"every branch reads {', '.join(open_to_all)}"
        yield ForgeCheck("variables", is_ok=False, said=said, todo=f"{todo}; then use new ones, these may be known")
    lacks = [s for s in _NEED_TOKEN if not any(_is(v, _TOKEN, s) for v in mine)]
    if lacks:
        said = f"jobs of the environments {', '.join(lacks)} have no {_TOKEN}"
        yield ForgeCheck(
            "bot's token", is_ok=False, said=said, todo="a variable for each: protected, masked and hidden"
        )
    shown = sorted({v.text("key") for v in mine if not v.flag("hidden")})
    if shown:
        said = f"whoever maintains the project reads {', '.join(shown)}"
        yield ForgeCheck("hidden variables", is_ok=None, said=said, todo="make them again: masked and hidden")


def _is(variable: Shape, key: str, scope: str) -> bool:
    return variable.text("key") == key and variable.text_or("environment_scope", default="*") in (scope, "*")
