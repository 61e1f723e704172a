"""What changes brought and took as it was signed, why models were trained again, and tables of bias."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from gitml.errors import UsageError
from gitml.evidence.impacts import KIND as IMPACT
from gitml.evidence.impacts import SignedImpact, impacts_of
from gitml.evidence.trust import Believed
from gitml.reports.retraining import title
from gitml.retraining.causes import BY_HAND, STALE
from gitml.retraining.declined import declined_of, refusals
from gitml.site.businessfacts import BiasLine, SiteBias, SiteCausal, SiteRetraining, SiteReturn
from gitml.site.facts import SiteCommit, SitePull
from gitml.site.readchanges import phase_of, pull_of, stamp
from gitml.site.readlooks import dicts, number, text_of
from gitml.spec import Application, Policy
from gitml.spec.retrain import RETRAIN_CAUSES

_HINT = "gitml bias MODEL --in ENVIRONMENT --json > bias.json"
_MOST_LINES = 500
ChangeKey = tuple[str, str, str]


def site_returns(told: Iterable[Believed]) -> tuple[SiteReturn, ...]:
    """Of each change what was found after the longest time, newest change first; those that were priced."""
    newest = {one.change.name: one for one in _impacts(told)}
    returns = (_return(one, one.told.get("returns")) for one in reversed(newest.values()))
    return tuple(one for one in returns if one)


def site_causal(told: Iterable[Believed]) -> Mapping[ChangeKey, tuple[SiteCausal, ...]]:
    """By commit, model and environment."""
    found = {one.change.name: tuple(_causal(part) for part in dicts(one.told.get("causal"))) for one in _impacts(told)}
    return {name: parts for name, parts in found.items() if parts}


def _impacts(told: Iterable[Believed]) -> tuple[SignedImpact, ...]:
    return impacts_of(one for one in told if one and one.kind == IMPACT)


def _causal(told: Mapping[str, Any]) -> SiteCausal:
    numbers = (number(told.get(name)) for name in ("difference", "low", "high"))
    return SiteCausal(text_of(told.get("kpi")), phase_of(told.get("phase")), text_of(told.get("reason")), *numbers)


def _return(signed: SignedImpact, told: object) -> SiteReturn | None:
    if not isinstance(told, Mapping):
        return None
    change, gain = signed.change, told.get("gain")
    return SiteReturn(
        model=change.model,
        environment=change.environment,
        commit=change.commit,
        version=change.version,
        days=signed.details.days,
        currency=text_of(told.get("currency"))[:20],
        once=number(told.get("once")) or 0.0,
        training=number(told.get("training")),
        review=number(told.get("review")),
        monthly=number(told.get("monthly")) or 0.0,
        gain=_three(gain),
        pays_back=number(told.get("pays_back")),
        unknown=tuple(text_of(one)[:200] for one in told.get("unknown") or ()),
    )


def _three(value: object) -> tuple[float, ...]:
    """An estimate with its bounds; empty where one of them is no number."""
    found = [number(one) for one in value] if isinstance(value, list) and len(value) == 3 else []
    return tuple(one for one in found if one is not None) if None not in found else ()


def site_retrainings(
    app: Application | None,
    policy: Policy | None,
    past: tuple[Sequence[SiteCommit], Sequence[SitePull]],
    told: Sequence[Believed],
    might: Callable[[str, datetime], bool],
    now: datetime,
) -> tuple[SiteRetraining, ...]:
    """Those that main has, that are open, and to which people said no; newest first. ``past``: commits of main and open
    pull requests, which the bot names by model and cause; ``might``: who might say no at a moment."""
    if app is None:
        return ()
    causes = (*RETRAIN_CAUSES, BY_HAND, STALE)
    named = {title(model, cause): (model, cause) for model in app.models for cause in causes}
    commits, pulls = past
    found = [*_merged(commits, named), *_open(pulls, named)]
    for model in app.models if policy else ():
        for no in declined_of(refusals(policy, told, model, might), now) if policy else ():
            why = f"{no.by} said no: {no.reason}"[:500]
            since, until = stamp(no.since), stamp(no.until)
            found.append(SiteRetraining(model, no.cause, why, "declined", since, no.by, until=until))
    return tuple(sorted(found, key=lambda one: (one.time, one.model, one.cause), reverse=True))


def _merged(commits: Iterable[SiteCommit], named: Mapping[str, tuple[str, str]]) -> Iterator[SiteRetraining]:
    for one in commits:
        if found := _asked(one.title.removesuffix(f" (#{pull_of(one.title)})"), named):
            yield SiteRetraining(*found, "merged", one.time, one.author, one.pull, one.commit)


def _open(pulls: Iterable[SitePull], named: Mapping[str, tuple[str, str]]) -> Iterator[SiteRetraining]:
    for one in pulls:
        if found := _asked(one.title, named):
            # Above all that have a time: it is now that it waits.
            yield SiteRetraining(*found, "open", "open", one.author, one.number)


def _asked(said: str, named: Mapping[str, tuple[str, str]]) -> tuple[str, str, str] | None:
    """Model, cause and why, as the bot words them. Another release worded causes otherwise: then there is no name."""
    head, _, why = said.partition(": ")
    model = head.removeprefix("Retrain ")
    if not why or head == model or model not in {one for one, _ in named.values()}:
        return None
    return (*named.get(said, (model, "")), why[:500])


def bias_counts(paths: Iterable[Path]) -> Mapping[str, Mapping[str, Any]]:
    """Model → what `gitml bias --json` told of it. Raises UsageError for a file that is none."""
    found = {}
    for path in paths:
        try:
            told = json.loads(path.read_bytes())
        except (OSError, ValueError) as exc:
            raise UsageError(f"{path} cannot be read: {exc}", _HINT) from exc
        if not isinstance(told, dict) or not isinstance(told.get("tables"), list) or not told.get("model"):
            raise UsageError(f"{path} is no table of bias", _HINT)
        found[text_of(told["model"])] = told
    return found


def site_bias(app: Application | None, counted: Mapping[str, Mapping[str, Any]]) -> tuple[SiteBias, ...]:
    """In the order of gitml.yaml; a count of a model that it does not name is not shown."""
    return tuple(_bias(app, model, counted.get(model, {})) for model in (app.bias if app else ()))


def _bias(app: Application | None, model: str, told: Mapping[str, Any]) -> SiteBias:
    spec = app.bias[model] if app else None
    last = spec.audited if spec else None
    lines = [_line(table, one) for table in dicts(told.get("tables")) for one in dicts(table.get("categories"))]
    return SiteBias(
        model=model,
        source=spec.source if spec else "",
        audited=stamp(last.on)[:10] if last else "",
        auditor=last.by if last else "",
        report=last.report if last else "",
        kind=text_of(told.get("kind")),
        data=text_of(told.get("data")),
        people=int(number(told.get("people")) or 0),
        lines=tuple(lines[:_MOST_LINES]),
    )


def _line(table: Mapping[str, Any], told: Mapping[str, Any]) -> BiasLine:
    category, counts = told.get("category"), (number(told.get(name)) for name in ("people", "selected"))
    people, selected = (None if value is None else int(value) for value in counts)
    rate, low, high = (number(told.get(name)) for name in ("rate", "rate_low", "rate_high"))
    ratio, least, most = (number(told.get(name)) for name in ("impact_ratio", "ratio_low", "ratio_high"))
    return BiasLine(
        table=text_of(table.get("title")),
        category=" / ".join(map(text_of, category)) if isinstance(category, list) else text_of(category),
        people=people,
        selected=selected,
        rate=(rate, low, high),
        ratio=(ratio, least, most),
        note=text_of(told.get("note")),
    )
