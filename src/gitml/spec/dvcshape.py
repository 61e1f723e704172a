"""The shape of dvc.yaml and dvc.lock, as DVC 3 allows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag

from gitml.fields import FileSection, Flag, WrongValueError, shown

Text = Annotated[str, Field(min_length=1)]


class OutOptions(FileSection):
    """What may follow an output's path; the last seven belong to plots."""

    desc: str | None = None
    type: str | None = None
    labels: tuple[str, ...] | None = None
    meta: Any = None
    cache: Flag | None = None
    persist: Flag | None = None
    checkpoint: Flag | None = None
    remote: str | None = None
    push: Flag | None = None
    template: str | None = None
    x: str | None = None
    y: str | None = None
    x_label: str | None = None
    y_label: str | None = None
    title: str | None = None
    header: Flag | None = None


def _out(value: Any) -> Any:
    if isinstance(value, str):
        return {value: None}
    if not isinstance(value, Mapping):
        raise WrongValueError(f"must be a path, but is {shown(value)}", "write a path, or 'path: {cache: false}'")
    for name, options in value.items():
        if not isinstance(options, Mapping):
            several = isinstance(options, list)  # DVC's schema lets them pass, and its loader fails
            hint = "list the file under plots at the top, once for each chart" if several else f"write '- {name}'"
            raise WrongValueError(f"the options of {name} must be a mapping, but are {shown(options)}", hint)
    return value


def _param(value: Any) -> Any:
    if isinstance(value, str):
        return {"params.yaml": [value]}
    if not isinstance(value, Mapping):
        raise WrongValueError(
            f"must be the name of a param, but is {shown(value)}", "write a name, or 'file.yaml: [names]'"
        )
    return value


def _command(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Outs = tuple[Annotated[Mapping[str, OutOptions | None], BeforeValidator(_out)], ...]
Params = tuple[Annotated[Mapping[str, tuple[str, ...] | None], BeforeValidator(_param)], ...]


class StageBody(FileSection):
    cmd: Annotated[tuple[Text, ...], Field(min_length=1), BeforeValidator(_command)] = Field(
        description="every stage has a command, such as 'cmd: python pipelines/train.py'"
    )
    wdir: str | None = None
    deps: tuple[Text, ...] = ()
    params: Params = ()
    outs: Outs = ()
    metrics: Outs = ()
    plots: Outs = ()
    vars: tuple[Any, ...] = ()
    matrix: Mapping[str, Any] | None = None
    frozen: Flag = False
    always_changed: Flag = False
    desc: str | None = None
    meta: Any = None

    def options(self) -> list[Any]:
        """What stands behind the paths of outputs."""
        entries = (entry for kind in (self.outs, self.metrics, self.plots) for entry in kind)
        return [found.model_dump() for entry in entries for found in entry.values() if found]


class Foreach(FileSection):
    foreach: Any
    do: StageBody


def _kind(value: Any) -> str:
    return "<foreach>" if isinstance(value, Mapping) and ("foreach" in value or "do" in value) else "<stage>"


AnyStage = Annotated[Annotated[StageBody, Tag("<stage>")] | Annotated[Foreach, Tag("<foreach>")], Discriminator(_kind)]


def _axis(value: Any) -> Any:
    """A column, several of them, or by file."""
    inner = list(value.values()) if isinstance(value, Mapping) else [value]
    parts = [part for item in inner for part in (item if isinstance(item, list) else [item])]
    if not all(isinstance(part, str) for part in parts):
        raise WrongValueError("must name columns", "write a column, or 'file: column'")
    return value


class PlotDefinition(FileSection):
    """A chart at the top of dvc.yaml."""

    x: Annotated[Any, BeforeValidator(_axis)] = ""
    y: Annotated[Any, BeforeValidator(_axis)] = ""
    x_label: str | None = None
    y_label: str | None = None
    title: str | None = None
    template: str | None = None


def _plot(value: Any) -> Any:
    return {value: None} if isinstance(value, str) else value


class DvcArtifact(FileSection):
    """What `dvc artifacts` knows by name. gitml reads none of it."""

    path: Text
    desc: str | None = None
    type: str | None = None
    labels: tuple[str, ...] = ()
    meta: Any = None


class DvcFile(FileSection):
    """The whole of dvc.yaml."""

    stages: Mapping[Text, AnyStage] = Field(default_factory=dict)
    vars: tuple[Any, ...] = ()
    params: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    plots: tuple[Annotated[Mapping[str, PlotDefinition | None], BeforeValidator(_plot)], ...] = ()
    artifacts: Mapping[str, DvcArtifact] = Field(default_factory=dict)
    datasets: Any = None


class LockItem(FileSection):
    """A dependency or output with its digest. DVC adds keys of its own for storage elsewhere."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    path: Text
    md5: str | None = None
    hash: str | None = None


class LockStage(FileSection):
    cmd: Annotated[tuple[str, ...], BeforeValidator(_command)]
    deps: tuple[LockItem, ...] = ()
    params: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)
    outs: tuple[LockItem, ...] = ()


class LockFile(FileSection):
    """The whole of dvc.lock."""

    schema_: Literal["2.0"] = Field(alias="schema", description="DVC 3 writes 'schema: 2.0' in quotes")
    stages: Mapping[str, LockStage] = Field(default_factory=dict)
    datasets: Any = None
