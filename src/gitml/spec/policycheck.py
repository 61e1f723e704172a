"""What policy.yaml and the deployments must say of gitml.yaml. Small pure functions over parsed files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gitml.errors import Problem
from gitml.gates.base import Need
from gitml.kinds import KINDS
from gitml.spec.application import Application, Model
from gitml.spec.canary import CANARY_METRICS, CanaryRules
from gitml.spec.canarytest import judged_on_cost, metric_of
from gitml.spec.deployment import Deployment, Pin
from gitml.spec.ensemble import Combiner, Ensemble, Member
from gitml.spec.kpis import NEEDS_UNITS
from gitml.spec.monitors import MonitorSpec
from gitml.spec.policy import Policy, canary_rules
from gitml.spec.root import APPLICATION
from gitml.spec.validate import nearest
from gitml.spec.yamlfile import Document, Key


@dataclass(frozen=True)
class Measured:
    """Names in the files that a model's last run left: its metrics, and its slices' metrics by column."""

    metrics: frozenset[str] = frozenset()
    slices: Mapping[str, frozenset[str]] = field(default_factory=dict)


def models_known(policy: Policy, document: Document, app: Application) -> list[Problem]:
    """Models that policy.yaml names exist."""
    named: list[tuple[Key, str]] = [
        (("environments", place, "models", name), name)
        for place, environment in policy.environments.items()
        for name in environment.models
    ]
    named += [(("exceptions", i, "model"), e.model) for i, e in enumerate(policy.exceptions)]
    named += [(("views", r, "models", i), m) for r, v in policy.views.items() for i, m in enumerate(v.models or ())]
    return [
        document.problem(key, f"gitml.yaml has no model {name!r}", nearest(name, app.models))
        for key, name in named
        if name not in app.models
    ]


def kpis_known(policy: Policy, document: Document, app: Application) -> list[Problem]:
    """KPIs that candidates are judged by exist."""
    named: list[tuple[Key, str]] = []
    for place, rules in canary_rules(policy):
        named += [((*place, "canary", "kpis", name), name) for name in rules.kpis]
        named += [((*place, "canary", "metric", "kpi"), rules.metric.kpi)] if rules.metric.kpi else []
    unknown = [
        document.problem(key, f"gitml.yaml has no KPI {name!r}", nearest(name, app.kpis) or "add it under `kpis`")
        for key, name in named
        if name not in app.kpis
    ]
    daily = [
        document.problem(key, f"the KPI {name} has days alone, and candidates are judged by unit", NEEDS_UNITS)
        for key, name in named
        if name in app.kpis and not app.kpis[name].has_units
    ]
    return [*unknown, *daily]


def goals_known(policy: Policy, document: Document, app: Application) -> list[Problem]:
    """Whatever candidates are judged by can be told."""
    return [*kpis_known(policy, document, app), *canary_metrics_known(policy, document, app)]


def canary_metrics_known(policy: Policy, document: Document, app: Application) -> list[Problem]:
    """Metrics that candidates are judged by can be told from their labels."""
    return [
        document.problem((*place, "canary", "metric", "name"), message, hint)
        for place, rules in canary_rules(policy)
        for message, hint in _untold(rules, app, str(place[3]) if len(place) > 3 else "")
    ]


def _untold(rules: CanaryRules, app: Application, only: str) -> list[tuple[str, str]]:
    """Of the model that the rules are for, or of an environment's each; told once."""
    name, models = rules.metric.name, [only] if only else [*app.models]
    if not name or name in CANARY_METRICS or any(judged_on_cost(rules, app, model) for model in models):
        return []
    costs = [spec.cost.metric for m in models if m in app.models and (spec := app.models[m].holdout) and spec.cost]
    known = (*CANARY_METRICS, *dict.fromkeys(costs))
    near = nearest(name, known)
    hint = near if near.startswith("did") else f"one of {', '.join(known)}; or a kpi"
    return [(f"{name} cannot be told from labels", hint)]


def sites_known(policy: Policy, app: Application) -> list[Problem]:
    """Sites are published for roles that there are."""
    strange = [role for role in app.sites.publish if role not in policy.roles]
    key = "sites.publish"
    return [Problem(APPLICATION, 0, key, f"there is no role {r!r}", nearest(r, policy.roles)) for r in strange]


def gates_can_pass(
    policy: Policy, document: Document, app: Application, measured: Mapping[str, Measured]
) -> list[Problem]:
    """No gate waits for what a model never gives. ``measured``: what the models' files hold, if there."""
    found: list[Problem] = []
    for place, environment in policy.environments.items():
        for name, model in app.models.items():
            gates = environment.gates_of(name)
            own = environment.models[name].gates.model_fields_set if name in environment.models else frozenset()
            site = _Gates(document, place, name, own)
            files = measured.get(name, Measured())
            for gate, need in gates.needs:
                if need.what == "upstream":
                    found += site.needed(site.key(gate, need), need, app)
                elif need.what == "canary":
                    found += site.unjudged(site.key(gate, need), environment.canary_of(name), app)
                elif need.what == "audited":
                    found += site.unaudited(site.key(gate, need), app)
                elif need.what == "reviews":
                    found += site.unreviewed(site.key(gate, need), policy, app)
                else:
                    found += site.lacks(gate, need, model, files)
                if need.what == "look":
                    found += site.watched(site.key(gate, need), need, app.monitors.of(name), [*policy.environments])
    return found


class _Gates:
    """Where in policy.yaml the gates of one model in one environment stand."""

    def __init__(self, document: Document, place: str, name: str, own: Collection[str]) -> None:
        self.document, self.place, self.name, self.own = document, place, name, own

    def key(self, gate: str, need: Need) -> Key:
        if gate in self.own:
            return ("environments", self.place, "models", self.name, "gates", gate, *need.at)
        return ("environments", self.place, "gates", gate, *need.at)

    def lacks(self, gate: str, need: Need, model: Model, files: Measured) -> Iterator[Problem]:
        """What ``model`` does not give that the gate reads."""
        key = self.key(gate, need)
        if need.what == "metrics":
            yield from self._metric(key, need.name, [*model.better, *files.metrics])
        elif need.what == "better":
            yield from self._direction(key, need.name, model)
        elif need.what == "groups":
            yield from self._groups(key, need, files.slices)
        elif need.what == "evidence" and KINDS[need.name].said_by:
            message = f"no statement is of the kind {need.name}, so this gate stays shut"
            yield self.document.problem(key, message, f"ask for it with the gate {need.name!r}")
        elif need.what not in ("evidence", "look") and getattr(model, need.what) is None:
            message = f"reads the {need.what} of a model, and {self.name!r} has none, so this gate stays shut"
            hint = f"add a line '{need.what}:' to models.{self.name} in gitml.yaml"
            yield self.document.problem(key, message, hint)

    def unaudited(self, key: Key, app: Application) -> Iterator[Problem]:
        """Where gitml.yaml names no audit for bias of the model."""
        if self.name not in app.bias or app.bias[self.name].audited is None:
            message = f"gitml.yaml names no audit for bias of {self.name!r}, so this gate stays shut"
            hint = f"add `audited: {{on, by, report}}` to bias.{self.name}, or leave the gate out under `without`"
            yield self.document.problem(key, message, hint)

    def unreviewed(self, key: Key, policy: Policy, app: Application) -> Iterator[Problem]:
        """Where nothing says how often the model is reviewed."""
        if policy.reviews.within(app.models[self.name]) is None:
            message = f"nothing says how often {self.name!r} is reviewed, so this gate stays shut"
            yield self.document.problem(key, message, "add `reviews: {high: 26w, medium: 52w, low: 104w}`")

    def _metric(self, key: Key, metric: str, known: Collection[str]) -> Iterator[Problem]:
        if metric not in known:
            message = f"the model {self.name!r} has no metric {metric!r}, so this gate stays shut"
            yield self.document.problem(key, message, self._hint(metric, known))

    def _direction(self, key: Key, metric: str, model: Model) -> Iterator[Problem]:
        if metric not in model.better:
            message = f"gitml.yaml does not say which way {metric!r} is better for {self.name!r}"
            hint = f"add it under models.{self.name}.better: higher or lower"
            yield self.document.problem(key, message, hint)

    def _groups(self, key: Key, need: Need, known: Mapping[str, frozenset[str]]) -> Iterator[Problem]:
        if known and need.column not in known:
            message = f"the slices of {self.name!r} have no column {need.column!r}"
            yield self.document.problem((*key, "column"), message, nearest(need.column, sorted(known)))
        elif known and need.name not in known[need.column]:
            message = f"the slices of {self.name!r} have no metric {need.name!r}"
            yield self.document.problem((*key, "metric"), message, nearest(need.name, sorted(known[need.column])))

    def needed(self, key: Key, need: Need, app: Application) -> Iterator[Problem]:
        """An upstream that no model names under `needs`; told once, of the first model."""
        keys = {upstream for model in app.models.values() for upstream in model.needs}
        if need.name not in keys and self.name == next(iter(app.models)):
            message = f"no model of gitml.yaml needs {need.name!r}"
            yield self.document.problem(
                (*key, need.name) if key[-1] != need.name else key, message, nearest(need.name, sorted(keys))
            )

    def unjudged(self, key: Key, rules: CanaryRules | None, app: Application) -> Iterator[Problem]:
        if rules is None:
            message = (
                f"nothing says how candidates of {self.name!r} are judged in {self.place}, so this gate stays shut"
            )
            yield self.document.problem(key, message, f"add `canary: {{}}` under environments.{self.place}")
        elif rules.metric.kpi is None and not metric_of(rules, app, self.name):
            message = f"labels tell no metric under `better` of {self.name!r}, so this gate stays shut"
            hint = f"name one under `canary`: metric: {{name: …}}, one of {', '.join(CANARY_METRICS)}; or a kpi"
            yield self.document.problem(key, message, hint)

    def watched(self, key: Key, need: Need, spec: MonitorSpec, order: Sequence[str]) -> Iterator[Problem]:
        """Why no look of the monitor can ever be what the gate waits for."""
        at = order.index(self.place)
        where = need.column or (order[at - 1] if at else "")
        if not where:
            hint = "name the one in which it is watched: {within: 2d, in: …}"
            yield self.document.problem(key, f"there is no environment before {self.place}", hint)
        elif where not in order:
            yield self.document.problem(key, f"there is no environment {where!r}", nearest(where, order))
        elif need.name not in spec.watch or (spec.environments and where not in spec.environments):
            hint = f"turn it on under monitors.models.{self.name} in gitml.yaml"
            yield self.document.problem(key, f"{need.name} of {self.name!r} is not watched in {where}", hint)
        elif need.within and need.within < spec.window:
            message = f"the windows of {self.name!r} are longer than that, so the newest is mostly too old"
            hint = "allow twice the window, or shorten it under monitors in gitml.yaml"
            yield self.document.problem(key, message, hint)

    def _hint(self, metric: str, known: Collection[str]) -> str:
        near = nearest(metric, known)
        other = f"or give it gates of its own under environments.{self.place}.models.{self.name}"
        return f"{near} {other}" if near.startswith("did") else f"add it under models.{self.name}.better, {other}"


def pins_known(
    state: Deployment, document: Document, *, model: str, digests: Mapping[str, str | None]
) -> list[Problem]:
    """The versions that a deployment pins have records, with these digests (None: not known)."""
    return [
        problem for key, pin in _pins(state) for problem in _pin_known(pin, document, key, model=model, digests=digests)
    ]


def _pin_known(
    pin: Pin, document: Document, key: Key, *, model: str, digests: Mapping[str, str | None]
) -> list[Problem]:
    if pin.version not in digests:
        hint = f"newest: {', '.join(sorted(digests)[-3:])}" if digests else f"it has none yet: gitml train {model}"
        return [document.problem((*key, "version"), f"{model} has no version {pin.version}", hint)]
    if digests[pin.version] not in (None, pin.digest):
        message = f"is not the digest of the artifact of {pin.version}"
        return [document.problem((*key, "digest"), message, f"its record says {digests[pin.version]}")]
    return []


def members_known(
    wanted: Ensemble, document: Document, app: Application, digests: Callable[[str], Mapping[str, str | None]]
) -> list[Problem]:
    """What an ensemble pins are versions of other models, no ensembles, that have records with these digests."""
    found = []
    pins: list[tuple[Key, Member | Combiner]] = [(("members", i), member) for i, member in enumerate(wanted.members)]
    for key, pin in [*pins, *([(("combiner",), wanted.combiner)] if wanted.combiner else [])]:
        model = app.models.get(pin.model)
        if model is None:
            message = f"gitml.yaml has no model {pin.model!r}"
            found.append(document.problem((*key, "model"), message, nearest(pin.model, app.models)))
        elif model.format == "ensemble":
            found.append(document.problem((*key, "model"), f"{pin.model} is an ensemble itself", "pin its members"))
        else:
            found += _pin_known(pin, document, key, model=pin.model, digests=digests(pin.model))
    return found


def _pins(state: Deployment) -> list[tuple[Key, Pin]]:
    pins: list[tuple[Key, Pin]] = [(("champion",), state.champion)]
    if state.canary:
        pins.append((("canary",), state.canary))
    return pins + [(("shadow", i), pin) for i, pin in enumerate(state.shadow)]
