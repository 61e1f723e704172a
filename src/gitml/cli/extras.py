"""What comes with which extra of the package: where a module is missing, people are told what to install."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from gitml.errors import UsageError

# The modules that gitml imports of each extra, and those that come along with them.
MODULES: Mapping[str, tuple[str, ...]] = {
    "serve": (
        "httptools", "joblib", "numpy", "orjson", "prometheus_client", "pyarrow", "safetensors", "scipy", "sklearn",
        "skops", "uvicorn",
    ),
    "kpi": ("duckdb", "psycopg", "sqlalchemy", "statsmodels"),
    "onnx": ("onnx", "onnxruntime"),
    "report": ("vl_convert",),
    "site": ("jinja2", "markupsafe", "networkx"),
    "stream": ("confluent_kafka",),
    "sandbox": ("gitml_sandbox",),
}  # fmt: skip
# What models may need and no extra brings, by the name that pip knows.
_OTHERS: Mapping[str, str] = {"pandas": "pandas", "torch": "torch"}


def not_installed(exc: ModuleNotFoundError) -> UsageError | None:
    """What to install, for a module of an extra; None for others: these are missing by a mistake of gitml's."""
    module = (exc.name or "").partition(".")[0]
    wanted = next((f"gitml[{extra}]" for extra, modules in MODULES.items() if module in modules), _OTHERS.get(module))
    return UsageError(f"{module} is not installed", f"pip install '{wanted}'") if wanted else None


def require(extra: str) -> None:
    """Raises UsageError unless all modules of ``extra`` are there; none is loaded."""
    missing = [module for module in MODULES[extra] if find_spec(module) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise UsageError(f"{', '.join(missing)} {verb} not installed", f"pip install 'gitml[{extra}]'")
