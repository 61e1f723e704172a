"""What jobs tell people who answer for a model: ratios that moved, a review that is due. Markdown, and pure.

A comment holds nothing that is not signed already, and nothing of a person.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gitml.reports.bias import PURPOSE
from gitml.reports.escape import clip, code, prose, row
from gitml.reports.figures import between, figure
from gitml.reports.tables import header

_LIMIT, _MOST_ROWS = 60_000, 60


def bias_alarm(told: Mapping[str, Any], over: str = "", *, run: str = "") -> str:
    """``told``: the signed details of the window in which ratios moved. ``over``: the window since which they lie
    where they lay, empty while they do not."""
    where = f"{code(told['count']['model'])} in {code(told['environment'])}"
    until = str(told["until"])[:10]
    if over:
        head = f"🟢 **Impact ratios of {where} are back since {prose(over)}.** They had moved in the window to {until}."
    else:
        head = f"🔴 **Impact ratios of {where} moved** in the window from {str(told['since'])[:10]} to {until}."
    parts = [head, prose(str(told["reason"]), 2000), *_tables(told["count"]), PURPOSE]
    parts.append(
        f"The first count of this configuration is what they are held against. `gitml bias {told['count']['model']} "
        f"--in {told['environment']}` counts again; how to go on is for people: "
        f'`gitml rollback {told["count"]["model"]} --in {told["environment"]} --reason "…"` takes one approval.'
    )
    return clip("\n\n".join([*parts, *([f"<sub>{prose(run)}</sub>"] if run else [])]), _LIMIT)


def _tables(count: Mapping[str, Any]) -> Iterator[str]:
    for table in count["tables"]:
        rows = [row(_cells(one)) for one in table["categories"][:_MOST_ROWS]]
        head = header(["category", "people", "rate", "impact ratio", "95 % interval", ""], "lrrrrl")
        yield "\n".join([f"**{prose(table['title'])}**", "", head, *rows])


def _cells(one: Mapping[str, Any]) -> list[str]:
    people = "" if one["people"] is None else f"{one['people']:,}"
    ratio = between(one["ratio_low"], one["ratio_high"], 2) if one["impact_ratio"] != 1 else ""
    name = prose(" / ".join(one["category"]))
    return [name, people, figure(one["rate"], 3), figure(one["impact_ratio"], 2), ratio, prose(one["note"])]


def review_due(model: str, environment: str, why: str, *, done: str = "") -> str:
    """``why`` it is due; ``done``: what ended that."""
    command = f"`gitml review {model}@{environment} --passed --report …`"
    if done:
        return f"🟢 **{code(model)} was reviewed**: {prose(done)}. {prose(why)} before."
    return (
        f"🟡 **{code(model)} has to be reviewed**: {prose(why)}.\n\n"
        f"Somebody who had no part in the version looks at it and signs that: {command}, or `--failed`. Where "
        "`policy.yaml` has the gate `review_age`, nothing of the model is promoted until then; rollbacks go on."
    )
