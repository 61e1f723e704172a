"""From a reference to one record, in whatever tree: a work tree, a commit, an agent's mirror."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from gitml.errors import Problem, RefError, SpecError
from gitml.git.repository import FOLDER
from gitml.git.tree import Tree
from gitml.refs import DIGEST, VERSION, Reference
from gitml.registry.record import Record
from gitml.registry.store import record_in, versions
from gitml.spec import Deployment, parse_deployment


@dataclass(frozen=True)
class Deployed:
    """Where a version is wanted: ``environment`` and as what (champion, canary, shadow)."""

    environment: str
    role: str
    version: str


def deployment_path(model: str, environment: str) -> str:
    return f"models/{model}/{environment}.yaml"


def deployment_in(tree: Tree, model: str, environment: str) -> Deployment | None:
    """What ``environment`` should run, or None: it has no file for the model. Raises SpecError."""
    path = deployment_path(model, environment)
    content = tree.read(path)
    if content is not None:
        return parse_deployment(content, path)
    if tree.entry(path) is None:
        return None
    raise SpecError([Problem(path, 0, "", "is no regular file", "replace it by the file itself")])


def environments(tree: Tree, model: str) -> tuple[str, ...]:
    """Those that have a deployment file of the model, by name."""
    found = tree.entries(f"models/{model}")
    return tuple(e.name.removesuffix(".yaml") for e in found if e.mode != FOLDER and e.name.endswith(".yaml"))


def deployed(tree: Tree, model: str) -> tuple[Deployed, ...]:
    """What the deployment files of the model pin, in the order of their names."""
    places: list[Deployed] = []
    for name in environments(tree, model):
        state = deployment_in(tree, model, name)
        if state is None:
            continue
        places.append(Deployed(name, "champion", state.champion.version))
        if state.canary:
            places.append(Deployed(name, "canary", state.canary.version))
        places += [Deployed(name, "shadow", s.version) for s in state.shadow]
    return tuple(places)


def resolve(
    tree: Tree, reference: Reference, models: Sequence[str] = (), *, where: str = "", first: str = ""
) -> Record:
    """The one record that ``reference`` names. Raises RefError that lists the candidates otherwise.

    ``models``: those of gitml.yaml; by default the folders below models/. For errors: ``where`` the tree is, such as
    "on the default branch", and how a ``first`` version comes there.
    """
    model = reference.model
    known = list(models) or [entry.name for entry in tree.entries("models") if entry.mode == FOLDER]
    there = f" {where}" if where else ""
    if model not in known:
        near = difflib.get_close_matches(model, known, 1)
        said = f"; did you mean {near[0]}?" if near else ""
        raise RefError(f"there is no model {model}{there}{said}", f"models{there or ' here'}: {_listed(known)}")
    names = versions(tree, model)
    if not names:
        raise RefError(f"{model} has no version{there} yet", first or f"run `gitml train {model}`")
    matches = _matches(tree, reference, names, there)
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise RefError(f"{reference} is ambiguous{there}", _candidates([record.version for record in matches]))
    raise RefError(f"{reference} names no version{there}", _candidates(names))


def _matches(tree: Tree, reference: Reference, names: Sequence[str], there: str) -> list[Record]:
    model, selector = reference.model, reference.selector
    if selector == "latest":
        return [record_in(tree, model, names[-1])]
    if DIGEST.fullmatch(selector):
        # A name holds eight digits; the record has them all.
        found = (record_in(tree, model, n) for n in names if n.rpartition("-")[2].startswith(selector[:8]))
        return [record for record in found if record.digest.startswith(selector)]
    version = selector if VERSION.fullmatch(selector) else _champion(tree, reference, names, there)
    return [record_in(tree, model, version)] if version in names else []


def _champion(tree: Tree, reference: Reference, names: Sequence[str], there: str) -> str:
    state = deployment_in(tree, reference.model, reference.selector)
    if state is None:
        running = environments(tree, reference.model)
        said = f"it runs in {', '.join(running)}" if running else "it is deployed nowhere"
        raise RefError(f"{reference} names no version{there}: {said}", _candidates(names))
    return state.champion.version


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _candidates(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} older" if len(names) > most else ""
    shown = (f"{n.rpartition('-')[2]} ({n[:4]}-{n[4:6]}-{n[6:8]})" for n in list(reversed(names))[:most])
    return "candidates: " + ", ".join(shown) + more
