"""gitml.yaml, policy.yaml, deployments and DVC's files as frozen models.

Each name loads its module on first use: ``gitml models`` needs the application and not the policy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gitml.spec.application import Application, Model
    from gitml.spec.load import find_root, load_application, parse_application

_HOME = {
    "Application": "application",
    "Model": "application",
    "find_root": "load",
    "load_application": "load",
    "parse_application": "load",
}

__all__ = ["Application", "Model", "find_root", "load_application", "parse_application"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'gitml.spec' has no attribute {name!r}")
    return getattr(importlib.import_module(f"gitml.spec.{_HOME[name]}"), name)
