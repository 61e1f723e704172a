"""Pickled scikit-learn models, for whoever has an exception in policy.yaml; everybody else never gets here."""

from __future__ import annotations

import io

from gitml.errors import UsageError
from gitml.models.model import OpenedModel
from gitml.models.sharedarrays import Keep
from gitml.models.signature import Signature
from gitml.models.sklearnmodel import scorer


def opened(content: bytes, signature: Signature, keep: Keep) -> OpenedModel:
    """Unpickles, which runs whatever code the file names; no array is shared, as objects of any kind may hold them."""
    try:
        import joblib
    except ImportError as exc:
        raise UsageError("joblib is not installed", "pip install 'gitml[serve]'") from exc
    return scorer(lambda: joblib.load(io.BytesIO(content)), signature)
