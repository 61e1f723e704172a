"""``reviews`` of policy.yaml: how often people look at a model that runs, by the harm that it can do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from pydantic import Field

from gitml.errors import Problem
from gitml.fields import Duration, FileSection, Name
from gitml.spec.application import Model
from gitml.spec.retention import Retention
from gitml.spec.yamlfile import Document


class LogbookRules(FileSection):
    """What `gitml logbook --check` holds the log of each environment against."""

    keep: Duration = Field(
        timedelta(days=183),
        description="How far back the log must reach, or to the first deployment where that is later. Which time a law "
        "asks for is for people to say: Article 19 of the AI Act speaks of at least six months.",
        json_schema_extra={"default": "183d"},
    )


def kept_for_logs(keep: LogbookRules, retention: Retention, document: Document) -> Iterator[Problem]:
    """Requests and answers are a part of the log, so they are not deleted before it may end; where somebody says so."""
    if "keep" in keep.model_fields_set and retention.requests and retention.requests < keep.keep:
        message = (
            f"requests are deleted after {retention.requests.days} days, and the log reaches {keep.keep.days} back"
        )
        hint = "let `retention.requests` be as long as `logbook.keep`, or say a shorter time there"
        yield document.problem(("retention", "requests"), message, hint)


class ReviewPeriods(FileSection):
    """How long after its last review a model is reviewed again, by its `tier` in gitml.yaml."""

    high: Duration | None = Field(None, description="Of models of tier `high`, and of those of which nobody says one.")
    medium: Duration | None = Field(None, description="Of models of tier `medium`.")
    low: Duration | None = Field(None, description="Of models of tier `low`.")
    roles: tuple[Name, ...] = Field((), description="Who may sign a review; by default every role.")

    def within(self, model: Model) -> timedelta | None:
        """The shorter of the tier's period and the model's own; None where neither is said.

        gitml.yaml can ask for more than policy.yaml, and never for less: who leaves the tier out has the strictest.
        """
        asked = (getattr(self, model.tier or "high"), model.review)
        return min((period for period in asked if period is not None), default=None)
