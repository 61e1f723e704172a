"""`needs` of a model in gitml.yaml: the models whose answers or features it is built on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from gitml.clock import LOOPBACK
from gitml.fields import (
    BranchName,
    EnvironmentName,
    FileSection,
    Name,
    RepoPath,
    SecretName,
    WrongValueError,
    check_path,
    shown,
)

TOP = "."


def check_folder(text: str) -> str:
    """A folder from the top of the repository; `.` is the top itself."""
    return text if text == TOP else check_path(text)


def check_repository(text: str) -> str:
    """The address of a repository as Git fetches it: nothing that runs a program, and no password."""
    parts = urlsplit(text)
    if "@" in parts.netloc:
        raise WrongValueError("the URL names a user or a password", "name the secret that holds a read token: token: …")
    fine = text.isprintable() and " " not in text and parts.path.strip("/") and not (parts.query or parts.fragment)
    if parts.scheme not in ("https", "http", "file") or not fine or (parts.scheme != "file" and not parts.hostname):
        raise WrongValueError(f"{shown(text)} is not the URL of a repository", "such as https://github.com/acme/demand")
    if not re.search(r"[^/]+/[^/]+$", parts.path.strip("/")):
        raise WrongValueError(f"{shown(text)} does not end in OWNER/NAME", "such as https://github.com/acme/demand")
    return text.rstrip("/").removesuffix(".git") if parts.scheme != "file" else text


class UpstreamNeed(FileSection):
    """A model that this one is built on. `answers` or `features` alone stands for ``what``."""

    what: Literal["answers", "features"] = Field(
        "answers", description="What is used: the answers of the model, or features that its stages compute."
    )
    environment: EnvironmentName | None = Field(
        None, alias="in", description="Where it must run; by default in the environment that this model comes to."
    )
    file: RepoPath | None = Field(
        None,
        description="The file of the upstream that stages of this model read, as its own application names it: its "
        "bytes tell which version was used. By default the artifact, for `answers`.",
    )
    model: Name | None = Field(None, description="Its name in its own gitml.yaml; by default the key.")
    application: Annotated[str, AfterValidator(check_folder)] | None = Field(
        None,
        description="The folder of its application, from the top of the repository; `.` is the top. By default this "
        "application, or the top of the other repository.",
    )
    repository: Annotated[str, AfterValidator(check_repository)] | None = Field(
        None,
        description="The URL of its repository, where that is another one, such as https://github.com/acme/demand.",
    )
    branch: BranchName = Field("main", description="The default branch of that repository.")
    token: SecretName | None = Field(
        None, description="Name of the secret whose value may read that repository. The token itself is stored nowhere."
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string", "enum": ["answers", "features"]}, handler(core)]}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        stray = [key for key in ("token", "branch") if key in self.model_fields_set and not self.repository]
        if stray:
            raise WrongValueError(f"{stray[0]} is of another repository, and none is named", "add `repository: URL`")
        at = urlsplit(self.repository or "")
        if self.token and at.scheme == "file":
            raise WrongValueError("a folder of this machine takes no token", "leave `token` out")
        if self.token and at.scheme == "http" and at.hostname not in LOOPBACK:
            raise WrongValueError("the token would travel in the clear", "write https:// in `repository`")
        return self

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is a model of another application or repository."""
        return bool(self.repository or self.application)


def _named(value: Any) -> Any:
    return {"what": value} if isinstance(value, str) else value


Needs = Mapping[Name, Annotated[UpstreamNeed, BeforeValidator(_named)]]
