"""What decides, signs and proposes: jobs of the default branch's pipeline alone.

A merge request changes its own pipelines, never these: GitLab reads a pipeline's files from the commit that it runs at,
and the key is a protected variable, which no pipeline of an unprotected branch or of a merge request gets.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from gitml.ci.base import CiSource
from gitml.ci.github.layout import minutes_of
from gitml.ci.github.main import ModelGroup, groups_of
from gitml.ci.github.monitor import wants_looks
from gitml.ci.gitlab.layout import handed, install, job_of, on_main, sign_in
from gitml.ci.gitlab.train import BOT
from gitml.ci.yamltext import Yaml

SIGNING, BRANCHES = "gitml", "gitml-branches"
_LONGEST = timedelta(hours=6)
# The gate looks again after all that may open it.
GATED = ("gate", "main", "reproduce", "collect", "monitor", "replay")
_SIGN = {"resource_group": "gitml-ledger"}


def gate(source: CiSource) -> dict[str, dict[str, Yaml]]:
    """Every open merge request, or the one that a webhook names."""
    more, lines = sign_in(source, writes=False)
    script = [*install(source), *lines, "gitml gate"]
    made = job_of(
        source,
        script,
        stage="gitml-gate",
        rules=on_main(*GATED),
        environment=SIGNING,
        always=True,
        more={**more, **_SIGN},
    )
    # In order of the stages, behind whatever the pipeline has: what went before may have failed.
    made.pop("needs")
    return {"gate": made}


def main(source: CiSource) -> dict[str, dict[str, Yaml]]:
    tried = {f"verify-{group.name}": _trying(source, group, "verify") for group in groups_of(source)}
    return {
        "record": _record(source, ("main",)),
        **tried,
        "evidence": _record(source, ("main",), ["record", *tried]),
        "propose": _propose(source, ["evidence"], ("main",)),
        **retrain(source, ["evidence"], ("main", "monitor")),
    }


def reproduce(source: CiSource) -> dict[str, dict[str, Yaml]]:
    again = {f"reproduce-{group.name}": _trying(source, group, "reproduce") for group in groups_of(source)}
    return {**again, "reproduced": _record(source, ("reproduce",), list(again))}


def collect(source: CiSource) -> dict[str, dict[str, Yaml]]:
    """Has no key: it checks signatures and appends. What is refused makes it red, and holds nothing up."""
    more, lines = sign_in(source)
    script = [*install(source), *lines, "gitml ci collect"]
    rules = [{"if": "$GITML_OUTBOX == null", "when": "never"}, *on_main("collect")]
    made = job_of(source, script, stage="gitml-sign", rules=rules, environment=BOT, more={**more, **_SIGN})
    due = _propose(source, ["collect"], ("collect",))
    return {"collect": made, "propose-collected": due}


def _trying(source: CiSource, group: ModelGroup, kind: str) -> dict[str, Yaml]:
    """A model file is data, but who knows: it is opened where there is nothing to take."""
    jobs = [job for job in source.jobs if set(group.packages) & set(job.packages)] or list(source.jobs)
    again = kind == "reproduce"
    more, lines = sign_in(source, writes=False)
    place = f"gitml-{kind}-{group.name}"
    flag = " --reproduce" if again else ""
    script = [
        *install(source, group.packages, extra="" if again else "serve"),
        *lines,
        f"gitml ci verify{flag} {' '.join(group.models)}",
        *handed(f"{kind}-{group.name}.json", place),
    ]
    limit = min(_LONGEST, sum((job.timeout for job in jobs), timedelta(minutes=30)))
    return job_of(
        source,
        script,
        stage="gitml-train",
        rules=on_main(kind if again else "main"),
        labels=jobs[-1].labels if again and jobs else (),
        minutes=minutes_of(limit) if again else 30,
        environment=BRANCHES if source.application.ci.secrets else "",
        keep=[f"{place}/"],
        more=more,
    )


def _record(source: CiSource, kinds: Sequence[str], needs: Sequence[str] = ()) -> dict[str, Yaml]:
    script = [*install(source), "gitml ci record"]
    return job_of(
        source,
        script,
        stage="gitml-sign",
        rules=on_main(*kinds),
        needs=needs,
        environment=SIGNING,
        always=bool(needs),
        more=_SIGN,
    )


def _propose(source: CiSource, needs: Sequence[str], kinds: Sequence[str]) -> dict[str, Yaml]:
    script = [*install(source), "gitml ci propose"]
    return job_of(
        source,
        script,
        stage="gitml-tell",
        rules=on_main(*kinds),
        needs=needs,
        environment=BOT,
        always=True,
        more={"resource_group": "gitml-propose"},
    )


def retrain(source: CiSource, needs: Sequence[str], kinds: Sequence[str]) -> dict[str, dict[str, Yaml]]:
    """Asks for retrainings; has the key of main's evidence, to sign what people said no to by a label."""
    if not source.application.retrain:
        return {}
    script = [*install(source), "gitml ci retrain"]
    made = job_of(
        source,
        script,
        stage="gitml-tell",
        rules=on_main(*kinds),
        needs=[*needs, *(["sign-looks"] if source.policy and wants_looks(source.policy) else [])],
        environment=SIGNING,
        always=True,
        more=_SIGN,
    )
    return {"retrain": made}
