"""``views`` of policy.yaml: what the site of a role shows. What a role may not see is not in its build."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from gitml.errors import Problem
from gitml.fields import FileSection, Name, WrongValueError
from gitml.spec.validate import nearest
from gitml.spec.yamlfile import Document

SitePage = Literal[
    "changes",
    "models",
    "deployments",
    "operations",
    "monitors",
    "experiments",
    "gates",
    "data",
    "inventory",
    "kpis",
    "approvals",
    "audit",
    "bias",
    "policy",
]
SITE_PAGES: tuple[SitePage, ...] = get_args(SitePage)
_Column = Annotated[str, Field(min_length=1, max_length=200)]


class SiteView(FileSection):
    """The part of the application that one role sees on its site. What is not named here is all there."""

    pages: tuple[SitePage, ...] = Field(
        SITE_PAGES, description="Pages beside the first one, which everybody has; by default all of them."
    )
    models: tuple[Name, ...] | None = Field(None, description="Models that are shown; by default all of them.")
    columns: tuple[_Column, ...] | None = Field(
        None, description="Columns of data that are named; by default all of them."
    )
    without_columns: tuple[_Column, ...] = Field((), description="Columns of data that are not named.")

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        both = [name for name in self.without_columns if name in (self.columns or ())]
        if both:
            raise WrongValueError(f"{both[0]!r} is shown, and not shown", "keep it under one of the two")
        return self


def view_problems(views: Mapping[str, SiteView], roles: Mapping[str, object], document: Document) -> Iterator[Problem]:
    """Each view is a role's: who looks at a site has to be somebody."""
    for name in views:
        if name not in roles:
            yield document.problem(("views", name), f"there is no role {name!r}", nearest(name, roles))
