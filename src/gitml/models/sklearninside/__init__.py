"""What gitml knows of scikit-learn's internals: faster ways to the same answers, and a look at trees.

The faster ways are taken on releases of ``gitml.internals`` alone. The look at trees is a guard, so it has no other
way: trees that it cannot read are refused.
"""

from __future__ import annotations

from gitml.internals import is_checked


def is_known() -> bool:
    """Whether the installed release is one whose internals were checked."""
    import sklearn

    return is_checked("scikit-learn", sklearn.__version__)
