"""One model in one round of the agent: what main says of it, and how what serves it stands before that is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from gitml.agent.judge import hold_of
from gitml.agent.report import facts_of, facts_of_wanted
from gitml.agent.source import Heads, Wanted
from gitml.agent.state import Applied, Attempt, stamp
from gitml.agent.view import Health, ModelView, Sync


@dataclass(frozen=True)
class MainSeen:
    """Main, or the ``trouble`` that says why not. ``gone``: by model, a commit of its, believed and now lost."""

    heads: Heads | None = None
    wanted: Mapping[str, Wanted] = field(default_factory=dict)
    gone: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ""


@dataclass(frozen=True)
class ModelCase:
    """One model in one round."""

    model: str
    now: datetime
    main: MainSeen

    @property
    def wanted(self) -> Wanted | None:
        return self.main.wanted.get(self.model)


def standing(case: ModelCase, applied: Applied | None, attempt: Attempt | None, broken: str) -> ModelView:
    """Before main is asked: what serves, and how. ``broken``: why what was applied does not serve."""
    view = ModelView(
        case.model,
        Sync.SYNCED,
        Health.HEALTHY if applied and not broken else Health.DEGRADED,
        broken or ("" if applied else "nothing serves it yet"),
        wanted=facts_of_wanted(case.wanted),
        applied=facts_of(applied) if applied else None,
        attempted=attempt.model_dump(mode="json") if attempt else None,
    )
    hold = hold_of(applied, case.now) if applied and not broken else None
    if hold is None:
        return view
    until = stamp(hold.until) if hold.until else ""
    return replace(view, health=Health.SUSPENDED, reason=hold.said, until=until)
