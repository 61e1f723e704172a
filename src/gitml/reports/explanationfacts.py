"""What an explanation of one answer says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ExplainedInput:
    """``contribution`` in the unit of the scale, ``error`` its standard error where it was sampled. ``reason``: in the
    words of the business, empty where nobody wrote them. ``value`` is None where it was missing."""

    name: str
    value: str | None
    contribution: float
    error: float | None = None
    reason: str = ""

    @property
    def direction(self) -> str:
        return "raises" if self.contribution > 0 else "lowers"

    @property
    def is_told(self) -> bool:
        """Whether it moved the answer by more than chance in the sampling could."""
        return abs(self.contribution) > 2 * (self.error or 0.0)


@dataclass(frozen=True)
class AnsweringModel:
    """Who answered: ``version`` with the ``digest`` of its artifact, and what gitml.yaml says of the model."""

    name: str
    version: str
    digest: str
    purpose: str = ""
    owner: str = ""


@dataclass(frozen=True)
class ExplainedRequest:
    """``answered``: an ISO time in UTC, empty where it is not known."""

    request_id: str
    row: int
    environment: str
    arm: str
    answered: str


@dataclass(frozen=True)
class Explanation:
    """``base`` and the contributions of ``inputs``, largest first, add up to ``total``: the ``answer`` on the
    ``scale``. ``seed`` and ``calls`` repeat a sampled one."""

    request: ExplainedRequest
    model: AnsweringModel
    output: str
    answer: float
    method: str
    scale: str
    base: float
    total: float
    inputs: tuple[ExplainedInput, ...]
    calls: int = 0
    seed: int | None = None

    @property
    def reasons(self) -> tuple[ExplainedInput, ...]:
        """The inputs that moved the answer, largest first."""
        return tuple(one for one in self.inputs if one.contribution != 0 and one.is_told)
