"""Requests for erasure that a version still remembers: it was trained on data that held the person."""

from __future__ import annotations

from gitml.git.tree import Tree
from gitml.registry.erasures import Erasure, erasures, remembered
from gitml.registry.store import record_in


def remembered_by(tree: Tree, model: str, newest: str) -> tuple[Erasure, ...]:
    """Of the newest version of a model in ``tree``, the one that has to be made up for first in front."""
    found = erasures(tree) if newest else ()
    mine = remembered(found, record_in(tree, model, newest)) if found else ()
    return tuple(sorted(mine, key=lambda one: (one.retrain_by, one.request)))
