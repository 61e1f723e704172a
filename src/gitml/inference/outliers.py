"""``gitml outliers``: what the version that is being made says of strange rows, from the tables of its stages."""

from __future__ import annotations

from pathlib import Path

from gitml.errors import UsageError
from gitml.inference.reference import ReferenceCall, features_of
from gitml.monitoring.outliers.fit import Outliers, write_outliers
from gitml.spec import load_application


def fit(root: Path, call: ReferenceCall, share: float) -> tuple[Path, Outliers]:
    """To where gitml.yaml says. Of ``call`` the features count. Raises UsageError."""
    app = load_application(root)
    if call.model not in app.models:
        raise UsageError(f"there is no model {call.model}", f"gitml.yaml has {', '.join(app.models)}")
    model = app.models[call.model]
    if model.outliers is None:
        raise UsageError(
            f"gitml.yaml names no outliers of {call.model}", "add a line: outliers: artifacts/outliers.safetensors"
        )
    part = features_of(root, app, call)
    if not part.columns:
        raise UsageError("no input is watched: those of the signature are private", "see `private` in gitml.yaml")
    return root / model.outliers, write_outliers(root / model.outliers, part, share)
