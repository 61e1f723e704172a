"""Which folders of alibi-detect are read here, and why others are not."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gitml.monitoring.alibi import chisquare, ks, tabular
from gitml.monitoring.alibi.chisquare import ChiSquareDrift
from gitml.monitoring.alibi.folder import CONFIG, X_REF, DetectorFolder
from gitml.monitoring.alibi.ks import KSDrift
from gitml.monitoring.alibi.tabular import TabularDrift

OwnDetector = KSDrift | ChiSquareDrift | TabularDrift
READERS: Mapping[str, Callable[[DetectorFolder], OwnDetector]] = {
    "KSDrift": ks.read,
    "ChiSquareDrift": chisquare.read,
    "TabularDrift": tabular.read,
}


def why_not(folder: DetectorFolder) -> str:
    """Why the real alibi-detect has to run it; '' where it is read here, as data."""
    if not folder.name:
        return "it is a pickle"
    if folder.name not in READERS:
        return f"{folder.name} is not among {', '.join(READERS)}"
    if folder.settings.get("preprocess_fn") is not None:
        return "it has a preprocess_fn, which is code"
    foreign = [name for name in folder.files if name not in (CONFIG, X_REF)]
    return f"it holds {foreign[0]}" if foreign else ""


def read(folder: DetectorFolder) -> OwnDetector:
    """Only for a folder that ``why_not`` has nothing against. Raises UsageError for what is unknown or torn."""
    return READERS[folder.name](folder)
