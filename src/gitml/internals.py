"""Libraries whose internals gitml relies on, and the releases that this was checked with.

On any other release gitml takes the public way, which is slower or guards less, but never guesses at what is inside.
`tests/models/test_sklearninside.py` and `tests/serving/test_connection.py` compare both ways; run them on a release
before it is added here.
"""

from __future__ import annotations

from collections.abc import Mapping

# Series of releases: a patch release does what its series does.
CHECKED: Mapping[str, tuple[str, ...]] = {
    "scikit-learn": ("1.7", "1.8", "1.9"),
    "uvicorn": ("0.30", "0.34", "0.38", "0.54"),
}


def is_checked(library: str, version: str) -> bool:
    """Whether this release of ``library`` belongs to a series that was checked.

    >>> is_checked("scikit-learn", "1.9.1"), is_checked("scikit-learn", "1.90.0")
    (True, False)
    """
    return ".".join(version.split(".")[:2]) in CHECKED[library]
