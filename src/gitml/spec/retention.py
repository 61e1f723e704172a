"""``retention`` of policy.yaml: how long requests, labels and business events are kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from gitml.fields import Duration, FileSection, WrongValueError


def _at_least_a_day(value: timedelta) -> timedelta:
    if value < timedelta(days=1):
        raise WrongValueError("whole days are deleted, so a period is at least 1d", "such as 400d")
    return value


Period = Annotated[Duration, AfterValidator(_at_least_a_day)]


class Retention(FileSection):
    """Periods; what is older is deleted by the job `gitml ci subjects carry-out`, a whole day at a time."""

    requests: Period | None = Field(None, description="Requests and answers, with the sketches of them.")
    labels: Period | None = Field(None, description="Labels that came for them.")
    events: Period | None = Field(None, description="Business events.")

    @property
    def periods(self) -> Mapping[str, timedelta]:
        """Those that are limited, by kind."""
        kinds = {"requests": self.requests, "labels": self.labels, "events": self.events}
        return {kind: period for kind, period in kinds.items() if period is not None}
