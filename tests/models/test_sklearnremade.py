"""Trees of neighbours and splines of a file are not believed: they are made anew, or the model is refused."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KDTree, KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from gitml.errors import IntegrityError
from gitml.models.sklearninside.remade import remake

ROWS = np.random.Generator(np.random.PCG64(1)).random((60, 2))
TRUTH = (ROWS[:, 0] > ROWS[:, 1]).astype(int)


def test_places_in_a_tree_of_the_file_are_thrown_away() -> None:
    model = KNeighborsClassifier(3).fit(ROWS, TRUTH)
    wanted = model.predict_proba(ROWS)
    state = list(model._tree.__getstate__())
    state[1] = np.full_like(state[1], 1 << 40)  # would be read as places of rows
    forged = KDTree.__new__(KDTree)
    forged.__setstate__(tuple(state))
    model._tree = forged
    remake(model)
    assert model._tree is not forged
    assert np.array_equal(model.predict_proba(ROWS), wanted)


def test_knots_of_the_file_are_checked_and_other_attributes_thrown_away() -> None:
    model = make_pipeline(SplineTransformer(), LogisticRegression()).fit(ROWS, TRUTH)
    wanted = model.predict_proba(ROWS)
    spline = model[0].bsplines_[0]
    spline.__dict__["_asarray"] = print
    remake(model)
    assert "print" not in str(spline.__dict__["_asarray"])
    assert np.array_equal(model.predict_proba(ROWS), wanted)
    spline.__dict__["k"] = 40
    with pytest.raises(IntegrityError, match="BSpline in it cannot be made anew: Need at least 82 knots"):
        remake(model)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"effective_metric_": "pyfunc"}, "its metric is 'pyfunc'"),
        ({"effective_metric_": "haversine", "_fit_method": "ball_tree", "_fit_X": ROWS[:, :1]}, "2 dimensions"),
        ({"effective_metric_params_": {"w": np.ones(9)}}, "more settings than p"),
        ({"_fit_X": np.full((60, 2), np.nan)}, "not finite"),
        ({"leaf_size": 0}, "leaf_size"),
    ],
    ids=["a function", "fewer columns", "weights", "no numbers", "leaves"],
)
def test_a_tree_that_cannot_be_made_anew_is_refused(changed: dict[str, object], why: str) -> None:
    model = KNeighborsClassifier(3).fit(ROWS, TRUTH)
    vars(model).update(changed)
    with pytest.raises(IntegrityError, match=why):
        remake(model)


def test_a_tree_that_nobody_makes_anew_is_refused() -> None:
    model = NearestNeighbors(algorithm="brute").fit(ROWS)
    model.other = KDTree(ROWS)
    with pytest.raises(IntegrityError, match="holds a tree of neighbours"):
        remake(model)
    in_a_list = LogisticRegression().fit(ROWS, TRUTH)
    in_a_list.trees = [KDTree(ROWS)]
    with pytest.raises(IntegrityError, match="holds a tree of neighbours"):
        remake(in_a_list)
