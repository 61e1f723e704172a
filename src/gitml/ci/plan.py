"""What runs on the default branch, as jobs that no CI system has written down yet.

A job holds what it needs and no more: one that has a key runs no model and no stage, and one that runs them has no
key. GitHub's workflows say the same in their own words (``gitml.ci.github``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from gitml.ci.base import CiSource
from gitml.ci.exporting import export_commands
from gitml.ci.wanted import (
    ERASURES_KEY,
    LOOKS_KEY,
    OUTBOX,
    SIGNING_KEY,
    ModelGroup,
    groups_of,
    jobs_of_group,
    looking_locks,
    looks_often,
    minutes_to_repeat,
    site_roles,
    traffic_secrets,
    upstream_secrets,
    wants_collection,
    wants_exports,
    wants_looks,
    wants_replays,
    wants_reproduction,
    wants_sites,
    wants_subjects,
    webhook_secrets,
)

TOKEN, READ_TOKEN = "GITML_TOKEN", "GITML_READ_TOKEN"


class GuardedRunner(StrEnum):
    """Machines that nothing of a branch ever reaches: those of jobs with a key, and those of jobs that read traffic."""

    KEYS = "gitml-keys"
    TRAFFIC = "gitml-traffic"


class Every(StrEnum):
    """How often a pipeline runs by itself."""

    TEN_MINUTES = "ten minutes"
    QUARTER = "quarter of an hour"
    HOUR = "hour"
    SIX_HOURS = "six hours"
    DAY = "day"


@dataclass(frozen=True)
class PlannedJob:
    """One job. ``labels`` are those of its runner; ``secrets`` map variables to the names of the secrets they hold.

    ``gives`` is what it hands over, files by a pattern below the hand-over folder; ``takes`` are names of what earlier
    jobs gave, each in a folder of its own name there: a job cannot speak for another. One that is ``bare`` checks
    nothing out and installs nothing. ``command`` is text for a shell.
    """

    name: str
    command: str
    labels: tuple[str, ...]
    minutes: int = 15
    extra: str = ""
    packages: tuple[str, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict)
    gives: Mapping[str, str] = field(default_factory=dict)
    takes: tuple[str, ...] = ()
    bare: bool = False


@dataclass(frozen=True)
class PlannedPipeline:
    """Jobs of one ``steps`` entry run side by side; the next entry follows whatever became of it: each job looks at
    what is there. It runs every so often, and ``after`` pipelines of these kinds."""

    kind: str
    steps: tuple[tuple[PlannedJob, ...], ...]
    every: Every
    after: tuple[str, ...] = ()
    on_push: bool = False


def plan(source: CiSource) -> tuple[PlannedPipeline, ...]:
    """The pipelines of the default branch; none without a policy, because nobody then decides on anything."""
    policy = source.policy
    if policy is None:
        return ()
    found = [_gate(source), _main(source)]
    found += [_reproduce(source)] if "reproduce" in _if_there(source, "reproduce") else []
    found += [_collect(source)] if wants_collection(policy) else []
    found += [_monitor(source)] if wants_looks(policy) else []
    found += [_replay(source)] if wants_replays(policy) else []
    found += [_export(source)] if wants_exports(source) else []
    found += [_site(source)] if wants_sites(source) else []
    found += [_subjects(source)] if wants_subjects(source) else []
    return tuple(found)


def same_named(*names: str) -> dict[str, str]:
    """Variables that hold secrets of the same names."""
    return {name: name for name in names}


def _keyed(name: str, command: str, *secrets: str, takes: tuple[str, ...] = (), extra: str = "") -> PlannedJob:
    return PlannedJob(
        name, command, (GuardedRunner.KEYS,), secrets=same_named(TOKEN, *secrets), takes=takes, extra=extra
    )


def _gate(source: CiSource) -> PlannedPipeline:
    more = (*source.application.ci.secrets, *upstream_secrets(source))
    after = ["main", *_if_there(source, "reproduce", "collect", "monitor", "replay")]
    return PlannedPipeline("gate", ((_keyed("gate", "gitml gate", SIGNING_KEY, *more),),), Every.TEN_MINUTES, (*after,))


def _main(source: CiSource) -> PlannedPipeline:
    tried = tuple(_verify(source, group) for group in groups_of(source))
    evidence = _keyed("evidence", "gitml ci record", SIGNING_KEY, takes=tuple(_given(tried)))
    steps = [(_keyed("record", "gitml ci record", SIGNING_KEY),), tried, (evidence,), (_propose(),), *retrain(source)]
    return PlannedPipeline("main", tuple(steps), Every.DAY, on_push=True)


def _propose() -> PlannedJob:
    return _keyed("propose", "gitml ci propose")


def retrain(source: CiSource) -> Iterator[tuple[PlannedJob]]:
    """The job that asks for retrainings, where gitml.yaml retrains a model."""
    if source.application.retrain:
        yield (_keyed("retrain", "gitml ci retrain", SIGNING_KEY, *upstream_secrets(source)),)


def _given(jobs: tuple[PlannedJob, ...]) -> Iterator[str]:
    return (name for job in jobs for name in job.gives)


def _verify(source: CiSource, group: ModelGroup) -> PlannedJob:
    return _trying(source, group, "verify", (*source.application.hardware.values(),)[0], 30)


def _trying(source: CiSource, group: ModelGroup, kind: str, labels: tuple[str, ...], minutes: int) -> PlannedJob:
    again, extra = (" --reproduce", "") if kind == "reproduce" else ("", "serve")
    return PlannedJob(
        f"{kind}-{group.name}",
        f"gitml ci verify{again} {' '.join(group.models)}",
        labels,
        minutes,
        extra,
        group.packages,
        same_named(*source.application.ci.secrets),
        {f"gitml-{kind}-{group.name}": f"{kind}-{group.name}.json"},
    )


def _reproduce(source: CiSource) -> PlannedPipeline:
    again = []
    for group in groups_of(source):
        jobs = jobs_of_group(source, group)
        again.append(_trying(source, group, "reproduce", jobs[-1].labels, minutes_to_repeat(jobs)))
    evidence = _keyed("evidence", "gitml ci record", SIGNING_KEY, takes=tuple(_given(tuple(again))))
    return PlannedPipeline("reproduce", (tuple(again), (evidence,)), Every.DAY, on_push=True)


def _collect(source: CiSource) -> PlannedPipeline:
    job = _keyed("collect", "gitml ci collect", OUTBOX, *source.application.ci.secrets)
    return PlannedPipeline("collect", ((job,), (_propose(),)), Every.QUARTER)


def evaluate(source: CiSource) -> PlannedJob:
    """Reads the traffic, with rights that no job of a branch has."""
    return PlannedJob(
        "evaluate",
        "gitml ci monitor evaluate",
        (GuardedRunner.TRAFFIC,),
        60,
        "serve,kpi" if source.application.kpis else "serve",
        looking_locks(source),
        same_named(*traffic_secrets(source)),
        {"gitml-looks": "looks.json"},
    )


def sign_looks() -> PlannedJob:
    """Holds what was seen against main; has the key of looks, and reads no traffic."""
    return _keyed("sign", "gitml ci monitor sign", LOOKS_KEY, takes=("gitml-looks",))


def publish_looks(source: CiSource) -> PlannedJob:
    """Says it on pull requests, without a key."""
    more = (*webhook_secrets(source), *upstream_secrets(source))
    return _keyed("publish", "gitml ci monitor publish", *more, extra="report")


def _monitor(source: CiSource) -> PlannedPipeline:
    often = Every.HOUR if looks_often(source) else Every.SIX_HOURS
    steps = [(evaluate(source),), (sign_looks(),), (publish_looks(source),), *retrain(source)]
    return PlannedPipeline("monitor", tuple(steps), often, ("main", *_if_there(source, "collect")))


def _replay(source: CiSource) -> PlannedPipeline:
    names = source.application.traffic.secrets if source.application.traffic else ()
    again = []
    for group in groups_of(source):
        jobs = jobs_of_group(source, group)
        again.append(
            PlannedJob(
                f"replay-{group.name}",
                f"gitml ci replay evaluate {' '.join(group.models)}",
                jobs[-1].labels if jobs else (GuardedRunner.TRAFFIC,),
                360,
                "serve",
                group.packages,
                same_named(*names),
                {f"gitml-replay-{group.name}": "replay.json"},
            )
        )
    sign = _keyed("sign", "gitml ci replay sign", LOOKS_KEY, takes=tuple(_given(tuple(again))))
    publish = _keyed("publish", "gitml ci replay publish", extra="report")
    return PlannedPipeline("replay", (tuple(again), (sign,), (publish,)), Every.HOUR, ("main",))


def _export(source: CiSource) -> PlannedPipeline:
    """Read where no token writes, proposed where there is no traffic."""
    told = source.application.traffic
    each = told.export.items() if told else ()
    commands = [f"(\n{export_commands(source, model, spec, '$GITML_CI')}\n)" for model, spec in each]
    secrets = same_named(*(told.secrets if told else ()))
    gives = {"gitml-export": "export/**"}
    job = PlannedJob("export", "\n".join(commands), (GuardedRunner.TRAFFIC,), 120, "serve", (), secrets, gives)
    return PlannedPipeline("export", ((job,), (_keyed("propose", "gitml ci export", takes=tuple(gives)),)), Every.DAY)


def _subjects(source: CiSource) -> PlannedPipeline:
    """The first job reads and writes traffic and has the keys of ids, the second one signs and has none of these.
    Neither runs code of the repository."""
    application = source.application
    names = [*(application.traffic.secrets if application.traffic else ()), *application.ci.secrets]
    names += [application.subjects.key] if application.subjects else []
    gives = {"gitml-erasures": "erasures.json"}
    job = replace(_keyed("carry-out", "gitml ci subjects carry-out", *names), minutes=120, gives=gives)
    signs = _keyed("sign", "gitml ci subjects sign", *application.ci.secrets, ERASURES_KEY, takes=tuple(gives))
    return PlannedPipeline("subjects", ((job,), (signs,)), Every.DAY, ("main",))


def _site(source: CiSource) -> PlannedPipeline:
    publish = source.application.sites.publish
    roles = site_roles(source)
    built = tuple(
        PlannedJob(
            f"build-{role}",
            f'gitml site build --role {role} --out "$GITML_CI/site-{role}"',
            (GuardedRunner.KEYS,),
            extra="site",
            secrets={TOKEN: READ_TOKEN},
            gives={f"gitml-site-{role}": f"site-{role}/**"},
        )
        for role in roles
    )
    put = tuple(
        PlannedJob(
            f"publish-{role}",
            f'export SITE="$GITML_CI/gitml-site-{role}/site-{role}"\n{publish[role]}',
            (GuardedRunner.KEYS,),
            secrets=same_named(*source.application.sites.secrets),
            takes=(f"gitml-site-{role}",),
            bare=True,
        )
        for role in roles
        if role in publish
    )
    after = ("main", *_if_there(source, "collect", "monitor"))
    return PlannedPipeline("site", (built, *([put] if put else [])), Every.DAY, after)


def _if_there(source: CiSource, *kinds: str) -> Iterator[str]:
    policy = source.policy
    there = {
        "reproduce": lambda policy: wants_reproduction(policy) and bool(source.jobs),
        "collect": wants_collection,
        "monitor": wants_looks,
        "replay": wants_replays,
    }
    return (kind for kind in kinds if policy is not None and there[kind](policy))
