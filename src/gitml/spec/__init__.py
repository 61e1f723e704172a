"""gitml.yaml, policy.yaml, deployments and DVC's files as frozen models.

Each name loads its module on first use: ``gitml models`` needs the application and not the policy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gitml.spec.application import Application, Model
    from gitml.spec.dag import stages_of
    from gitml.spec.deployment import Deployment, load_deployment, parse_deployment, render_deployment
    from gitml.spec.dvcfiles import Pipeline, load_pipeline
    from gitml.spec.load import load_application, parse_application
    from gitml.spec.policy import Policy, load_policy, parse_policy
    from gitml.spec.root import find_root

_HOME = {
    "Application": "application",
    "Deployment": "deployment",
    "Model": "application",
    "Pipeline": "dvcfiles",
    "Policy": "policy",
    "find_root": "root",
    "load_application": "load",
    "load_deployment": "deployment",
    "load_pipeline": "dvcfiles",
    "load_policy": "policy",
    "parse_application": "load",
    "parse_deployment": "deployment",
    "parse_policy": "policy",
    "render_deployment": "deployment",
    "stages_of": "dag",
}

__all__ = [
    "Application",
    "Deployment",
    "Model",
    "Pipeline",
    "Policy",
    "find_root",
    "load_application",
    "load_deployment",
    "load_pipeline",
    "load_policy",
    "parse_application",
    "parse_deployment",
    "parse_policy",
    "render_deployment",
    "stages_of",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'gitml.spec' has no attribute {name!r}")
    return getattr(importlib.import_module(f"gitml.spec.{_HOME[name]}"), name)
