"""Matrices, by the examples of GitHub's page."""

import pytest

from gitml_sandbox.actions.matrix import expand, suffix
from gitml_sandbox.actions.workflows import WorkflowError


def test_the_product_in_order() -> None:
    assert expand({"os": ["a", "b"], "v": [1, 2]}) == [
        {"os": "a", "v": 1},
        {"os": "a", "v": 2},
        {"os": "b", "v": 1},
        {"os": "b", "v": 2},
    ]
    assert expand(None) == [{}]


def test_include_extends_and_adds_as_github_says() -> None:
    found = expand(
        {
            "fruit": ["apple", "pear"],
            "animal": ["cat", "dog"],
            "include": [
                {"color": "green"},
                {"color": "pink", "animal": "cat"},
                {"fruit": "apple", "shape": "circle"},
                {"fruit": "banana"},
                {"fruit": "banana", "animal": "cat"},
            ],
        }
    )
    assert found == [
        {"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
        {"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
        {"fruit": "pear", "animal": "cat", "color": "pink"},
        {"fruit": "pear", "animal": "dog", "color": "green"},
        {"fruit": "banana"},
        {"fruit": "banana", "animal": "cat"},
    ]


def test_exclude_and_include_alone() -> None:
    assert expand({"a": [1, 2], "b": [3], "exclude": [{"a": 1}]}) == [{"a": 2, "b": 3}]
    assert expand({"include": [{"x": 1}, {"x": 2}]}) == [{"x": 1}, {"x": 2}]


@pytest.mark.parametrize(
    "matrix",
    ["text", {"a": []}, {"a": "x"}, {"a": [1], "exclude": [{"a": 1}]}, {"a": list(range(257))}, {"include": "x"}],
)
def test_refused(matrix: object) -> None:
    with pytest.raises(WorkflowError):
        expand(matrix)


def test_names() -> None:
    assert suffix({"a": 1, "b": "x", "c": {"d": True}}) == ' (1, x, {"d": true})'
    assert suffix({}) == ""
