"""What is asked of a quarantine, and what it may answer: nothing else that comes from there is believed."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

LONGEST_ANSWER = 20_000  # bytes


class QuarantineOrder(BaseModel):
    """One file to load: see ``gitml.models.loading.load``. ``samples``: a Parquet file, '' for none.

    ``seconds`` from the moment that the libraries are there; ``memory`` in bytes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    format: str
    signature: dict[str, Any]
    sha256: str
    allow_pickle: bool = False
    samples: str = ""
    seconds: float
    memory: int


class QuarantineAnswer(BaseModel):
    """How it went. ``inconclusive``: this machine's time or memory did not do.

    ``package``: a library that is missing here, which says nothing of the model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: Literal["passed", "integrity", "usage", "failed", "inconclusive"]
    message: str = Field(default="", max_length=4000)
    hint: str = Field(default="", max_length=1000)
    package: str = Field(default="", max_length=200)
    offline: bool = True
