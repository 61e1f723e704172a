"""Names in gitml.yaml that stand for something: models, KPIs, hardware, environments, params; pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from gitml.errors import Problem
from gitml.spec.application import Application
from gitml.spec.validate import nearest
from gitml.spec.yamlfile import Document, Key


def hardware_known(app: Application, document: Document) -> list[Problem]:
    """Stages ask for hardware that is named."""
    return [
        document.problem(
            ("stages", name, "hardware"),
            f"there is no hardware {needs.hardware!r}",
            nearest(needs.hardware, app.hardware),
        )
        for name, needs in app.stages.items()
        if needs.hardware and needs.hardware not in app.hardware
    ]


def monitors_known(app: Application, document: Document) -> list[Problem]:
    """Models that are watched, or counted by category, exist."""
    named: list[Key] = [("monitors", "models", name) for name in app.monitors.models]
    named += [("bias", name) for name in app.bias]
    named += [("scoring", name) for name in app.scoring]
    return [
        document.problem(key, f"there is no model {key[-1]!r}", nearest(str(key[-1]), app.models))
        for key in named
        if key[-1] not in app.models
    ]


def retrained_known(
    app: Application, document: Document, values: Callable[[str], Mapping[str, Any] | None]
) -> list[Problem]:
    """Models that are retrained exist and are made here, their monitors see the causes, and what is set is there."""
    found = []
    for name, spec in app.retrain.items():
        key: Key = ("retrain", name)
        if name not in app.models:
            found.append(document.problem(key, f"there is no model {name!r}", nearest(name, app.models)))
        elif app.models[name].origin == "external":
            found.append(document.problem(key, f"the model {name!r} is external: nothing here trains it"))
        else:
            found += [document.problem((*key, "causes"), *why) for why in _never_there(app, name)]
        known = values(spec.params) if spec.set else None
        for param in spec.set if known is not None else ():
            found += param_known(document, (*key, "set", param), spec.params, param, known or {})
        said, hint = f"of {spec.params} is not a single value", "name one, such as window.last_day"
        found += [document.problem((*key, "set", p), f"{p!r} {said}", hint) for p in spec.unsettable(known or {})]
    return found


def _never_there(app: Application, name: str) -> Iterator[tuple[str, str]]:
    """Causes that nothing can show, with what to do."""
    causes, watch = app.retrain[name].causes, app.monitors.of(name).watch
    for cause, part in (("harm", "harm"), ("performance", "harm"), ("drift", "drift")):
        if cause in causes and part not in watch:
            yield f"no monitor shows {cause} of {name!r}", f"add {part} to monitors.models.{name}.watch"
    if "upstream" in causes and not app.models[name].needs:
        yield f"{name!r} needs no other model", f"name those that it is built on, models.{name}.needs"


def exports_known(app: Application, document: Document) -> list[Problem]:
    """Models whose traffic is exported exist, each to a folder of its own, with labels that may be told."""
    exports, found = app.traffic.export if app.traffic else {}, []
    taken: dict[str, str] = {}
    for name, one in exports.items():
        key = ("traffic", "export", name)
        if name not in app.models:
            found.append(document.problem(key, f"there is no model {name!r}", nearest(name, app.models)))
        if one.label in app.private or "*" in app.private:
            found.append(document.problem((*key, "label"), f"{one.label} is private", "see `private`"))
        if one.labels_within is None and name not in app.monitors.models:
            hint = "add labels_within, such as 1d, or a monitor with harm: {labels_within: 1d}"
            found.append(document.problem(key, "nothing says when labels have come", hint))
        other = taken.setdefault(app.export_folder(name), name)
        if other != name:
            found.append(document.problem((*key, "to"), f"{other} is exported there", "name another folder"))
    return found


def kpis_known(app: Application, document: Document) -> list[Problem]:
    """What KPIs and prices name exists."""
    named: list[tuple[Key, str, str, Mapping[str, Any]]] = []
    for name, kpi in app.kpis.items():
        named += [(("kpis", name, "models", i), "model", one, app.models) for i, one in enumerate(kpi.models)]
        named += [(("kpis", name, "controls", i), "KPI", one, app.kpis) for i, one in enumerate(kpi.controls)]
    if app.costs:
        named += [(("costs", "runner_minute", one), "hardware", one, app.hardware) for one in app.costs.runner_minute]
        named += [(("costs", "serving_month", one), "model", one, app.models) for one in app.costs.serving_month]
    found = [
        document.problem(key, f"there is no {what} {one!r}", nearest(one, known))
        for key, what, one, known in named
        if one not in known
    ]
    own = [name for name, kpi in app.kpis.items() if name in kpi.controls]
    return [
        *found,
        *(
            document.problem(("kpis", name, "controls"), "a KPI cannot be its own control", "leave it out")
            for name in own
        ),
    ]


def kpi_environments_known(app: Application, document: Document, environments: Iterable[str]) -> list[Problem]:
    """``environments``: of policy.yaml."""
    known = list(environments)
    return [
        document.problem(
            ("kpis", name, "environment"),
            f"policy.yaml has no environment {kpi.environment!r}",
            nearest(kpi.environment, known),
        )
        for name, kpi in app.kpis.items()
        if kpi.environment and kpi.environment not in known
    ]


def param_known(document: Document, key: Key, file: str, name: str, known: Mapping[str, Any]) -> Iterator[Problem]:
    """Whether a file of params has this one: `window.last_day`, `layers.0`."""
    place: Any = known
    for part in name.rstrip(".").split("."):
        if isinstance(place, list) and part.isdecimal() and int(part) < len(place):
            place = place[int(part)]
        elif isinstance(place, Mapping) and part in place:
            place = place[part]
        else:
            hint = nearest(name, _leaves(known))
            yield document.problem(key, f"{file} has no param {name!r}", hint)
            return


def _leaves(values: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for name, value in values.items():
        yield f"{before}{name}"
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{before}{name}.")
