"""What policy.yaml and the deployments must say of gitml.yaml. Small pure functions over parsed files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from gitml.errors import Problem
from gitml.spec.application import Application, Model
from gitml.spec.deployment import Deployment, Pin
from gitml.spec.ensemble import Combiner, Ensemble, Member
from gitml.spec.gates import Gates
from gitml.spec.policy import Policy
from gitml.spec.validate import nearest
from gitml.spec.yamlfile import Document, Key

# gate: key of the model that it reads
_READS = {
    "slices": "slices",
    "fairness": "slices",
    "signature": "signature",
    "champion": "replicates",
    "latency": "samples",
}


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
    return [
        document.problem(key, f"gitml.yaml has no model {name!r}", nearest(name, app.models))
        for key, name in named
        if name not in app.models
    ]


def gates_can_pass(
    policy: Policy, document: Document, app: Application, measured: Mapping[str, Measured]
) -> list[Problem]:
    """No gate waits for what a model never gives. ``measured``: what the models' files hold, if there."""
    found = []
    for place, environment in policy.environments.items():
        for name, model in app.models.items():
            gates = environment.gates_of(name)
            own = environment.models[name].gates.model_fields_set if name in environment.models else frozenset()
            site = _Gates(document, place, name, own)
            files = measured.get(name, Measured())
            found += site.metrics(gates, model, files.metrics)
            found += site.files(gates, model)
            found += site.slices(gates, files.slices)
    return found


class _Gates:
    """Where in policy.yaml the gates of one model in one environment stand."""

    def __init__(self, document: Document, place: str, name: str, own: Collection[str]) -> None:
        self.document, self.place, self.name, self.own = document, place, name, own

    def key(self, gate: str) -> Key:
        if gate in self.own:
            return ("environments", self.place, "models", self.name, "gates", gate)
        return ("environments", self.place, "gates", gate)

    def metrics(self, gates: Gates, model: Model, measured: Collection[str]) -> list[Problem]:
        known = [*model.better, *measured]
        found = []
        for metric in gates.metrics or ():
            if metric not in known:
                message = f"the model {self.name!r} has no metric {metric!r}, so this gate stays shut"
                found.append(self.document.problem((*self.key("metrics"), metric), message, self._hint(metric, known)))
        for metric in gates.champion or ():
            if metric not in model.better:
                message = f"gitml.yaml does not say which way {metric!r} is better for {self.name!r}"
                hint = f"add it under models.{self.name}.better: higher or lower"
                found.append(self.document.problem((*self.key("champion"), metric), message, hint))
        return found

    def slices(self, gates: Gates, known: Mapping[str, frozenset[str]]) -> list[Problem]:
        found = []
        for gate in ("slices", "fairness") if known else ():
            for number, rule in enumerate(getattr(gates, gate) or ()):
                key = (*self.key(gate), number)
                if rule.column not in known:
                    message = f"the slices of {self.name!r} have no column {rule.column!r}"
                    found.append(self.document.problem((*key, "column"), message, nearest(rule.column, sorted(known))))
                elif rule.metric not in known[rule.column]:
                    message = f"the slices of {self.name!r} have no metric {rule.metric!r}"
                    hint = nearest(rule.metric, sorted(known[rule.column]))
                    found.append(self.document.problem((*key, "metric"), message, hint))
        return found

    def _hint(self, metric: str, known: Collection[str]) -> str:
        near = nearest(metric, known)
        other = f"or give it gates of its own under environments.{self.place}.models.{self.name}"
        return f"{near} {other}" if near.startswith("did") else f"add it under models.{self.name}.better, {other}"

    def files(self, gates: Gates, model: Model) -> list[Problem]:
        found = []
        for gate, needed in _READS.items():
            if gate in gates.wanted and getattr(model, needed) is None:
                message = f"reads the {needed} of a model, and {self.name!r} has none, so this gate stays shut"
                hint = f"add a line '{needed}:' to models.{self.name} in gitml.yaml"
                found.append(self.document.problem(self.key(gate), message, hint))
        return found


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
