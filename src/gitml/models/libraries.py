"""The libraries that a format needs, imported before they are."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module

from gitml.errors import UsageError

_LIBRARIES = {
    "skops": ("sklearn",),
    "onnx": ("gitml.models.onnxfile", "gitml.models.onnxsteadiness", "onnxruntime"),
    "pickle": ("joblib", "sklearn"),
}


def prepare(format: str, *, samples: bool) -> None:  # noqa: A002 - the word of gitml.yaml
    """Import what a model of ``format`` is loaded with. What is missing is said by the load, in its own words."""
    if format == "skops":
        from gitml.models.skopsmodel import library

        with suppress(UsageError):
            library()
    for name in [*_LIBRARIES.get(format, ()), *(["pyarrow.parquet"] if samples else [])]:
        with suppress(ImportError):
            import_module(name)
