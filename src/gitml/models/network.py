"""What a network computes, in the words that gitml knows; it stands as JSON in the metadata of a safetensors file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Described(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Words(_Described):
    """An input of words. A word's number is its place here plus one; 0 is any other word, or none.

    ``tensor`` is the embedding: shape (words + 1, width).
    """

    kind: Literal["words"]
    column: str
    words: tuple[str, ...]
    tensor: str


class Number(_Described):
    """An input number, scaled to (x - mean) / deviation; a missing one becomes 0."""

    kind: Literal["number"]
    column: str
    mean: float = 0.0
    deviation: float = Field(1.0, gt=0)


class Missing(_Described):
    """1 where the input is missing, else 0."""

    kind: Literal["missing"]
    column: str


class Linear(_Described):
    """weight: shape (out, in), as torch keeps it; bias: (out,)."""

    kind: Literal["linear"]
    weight: str
    bias: str | None = None


class LayerNorm(_Described):
    """Normalised over the columns of a row, then scaled and shifted."""

    kind: Literal["layer_norm"]
    weight: str
    bias: str
    eps: float = Field(1e-5, gt=0)


class Activation(_Described):
    """A function of each number; softmax: of each row. sigmoid and softmax are computed in float64."""

    kind: Literal["relu", "tanh", "silu", "sigmoid", "softmax"]


Layer = Linear | LayerNorm | Activation


class Network(_Described):
    """The features side by side, in order, are the first layer's input. ``about`` is the application's own."""

    network: Literal[1]
    about: Any = None
    features: Annotated[
        tuple[Annotated[Words | Number | Missing, Field(discriminator="kind")], ...], Field(min_length=1)
    ]
    layers: Annotated[tuple[Annotated[Layer, Field(discriminator="kind")], ...], Field(min_length=1)]
