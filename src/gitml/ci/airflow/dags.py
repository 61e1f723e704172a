"""The file of DAGs: training, looks, retraining and scoring of one application, for Airflow 3.

It imports Airflow alone, because a scheduler reads it every few seconds, and uses one operator, Bash.
https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/dags.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from textwrap import indent
from urllib.parse import urlsplit

from gitml.ci.airflow import shells
from gitml.ci.base import CiSource
from gitml.ci.plan import Every, GuardedRunner, PlannedJob, evaluate, publish_looks, retrain, sign_looks
from gitml.ci.wanted import looks_often, minutes_of, wants_looks
from gitml.errors import UsageError
from gitml.spec.scoring import ScheduledScoring
from gitml.spec.upstream import TOP

_CRON = {Every.HOUR: "17 * * * *", Every.SIX_HOURS: "17 */6 * * *", Every.DAY: "23 3 * * *"}
_PINNED = "{{ ti.xcom_pull(task_ids='pin') }}"
_DAY = "{{ (dag_run.run_after - macros.timedelta(days=1)).strftime('%Y-%m-%d') }}"
# What Airflow fills in wherever it stands.
_FILLED = re.compile(r"\{\{|\{%|\{#")

_HEAD = '''\
"""DAGs of the application {name}: docs/how-to/airflow.md of gitml says what they need."""

from __future__ import annotations

import os
import re
from datetime import datetime, timedelta, timezone

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset
from airflow.timetables.assets import AssetOrTimeSchedule
from airflow.timetables.trigger import CronTriggerTimetable

REMOTE = os.environ.get({variable!r}) or os.environ.get("GITML_REMOTE", "")
# How assets name the repository: host/owner/name.
HOME = re.sub(r"^[a-z+]+://([^/@]*@)?|^git@|\\.git$", "", REMOTE).replace(":", "/") or "local"
ABOUT = {about}
WITH = {{
    "start_date": datetime(2026, 1, 1, tzinfo=timezone.utc),
    "catchup": False,
    "max_active_runs": 1,
    "default_args": {{"retries": 2, "retry_delay": timedelta(minutes=5)}},
    "tags": ["gitml"],
}}


def asset(place):
    return Asset("gitml://" + (place if place.startswith("//") else f"{{HOME}}/{{place}}").lstrip("/"))


def schedule(cron, *assets):
    time = CronTriggerTimetable(cron, timezone="UTC")
    return AssetOrTimeSchedule(timetable=time, assets=[asset(place) for place in assets]) if assets else time


def task(name, command, queue, minutes, env, **more):
    env = {{"GITML_REMOTE": REMOTE, **ABOUT, **env}}
    more["execution_timeout"] = timedelta(minutes=minutes)
    return BashOperator(task_id=name, bash_command=COMMON + command, env=env, append_env=True, queue=queue, **more)

'''


def dags(source: CiSource) -> str:
    """The text of the file. Raises UsageError for a name that Airflow would fill in."""
    name = source.application.application
    scripts = {
        key: getattr(shells, key) for key in ("COMMON", "PIN", "PIN_TRAINING", "RUN", "COMMIT", "EVALUATE", "SIGN")
    } | {key: getattr(shells, key) for key in ("PUBLISH", "RETRAIN", "SCORE")}
    parts = [
        _HEAD.format(name=name, variable=f"GITML_REMOTE_{_capital(name)}", about=_mapping(_about(source), 0)),
        *(f"{key} = r'''{text}'''\n" for key, text in scripts.items()),
        *_parts(source),
    ]
    return "\n".join(parts)


def _parts(source: CiSource) -> Iterator[str]:
    policy = source.policy
    if source.jobs:
        yield _train(source)
    if policy is not None and wants_looks(policy):
        yield _looks(source)
    if policy is not None and source.application.retrain:
        yield _retrain(source)
    for model, spec in source.application.scoring.items():
        yield _score(source, model, spec)


def _about(source: CiSource) -> dict[str, str]:
    """What every task is told: the repository, and which run of Airflow it is."""
    return {
        "GITML_DEFAULT_BRANCH": source.application.ci.branch,
        "GITML_FOLDER": source.folder or ".",
        "GITML_PYTHON": source.application.ci.python,
        "GITML_RUN": "{{ dag_run.run_after.timestamp() | int }}",
        "GITML_RUN_PAGE": "runs/{{ run_id | urlencode }}",
    }


def _train(source: CiSource) -> str:
    """A task for each hardware, then one that commits and reports; retrainings that the bot asked for, or a branch."""
    asked = {"GITML_ASKED": "{{ params.branch }}", "GITML_RETRAININGS": "\n".join(_retrainings(source))}
    lines = [_task("pin", "PIN_TRAINING", GuardedRunner.KEYS, 15, asked)]
    for job in source.jobs:
        env = {
            "GITML_PINNED": _PINNED,
            "GITML_JOB": job.name,
            "GITML_TAKES": _takes(job.needs),
            **_installing(source, "", job.packages),
        }
        lines.append(_task(job.name, "RUN", queue_of(job.labels), minutes_of(job.timeout), env))
    names = [job.name for job in source.jobs]
    env = {"GITML_PINNED": _PINNED, "GITML_TAKES": _takes(names), **_installing(source, "report", ())}
    more = {"trigger_rule": "'none_skipped'", "outlets": _assets(_own(source, m) for m in source.application.models)}
    lines.append(_task("commit", "COMMIT", GuardedRunner.KEYS, 30, env, more))
    lines += [_after(name, ["pin", *needs]) for name, needs in ((job.name, job.needs) for job in source.jobs)]
    lines.append(_after("commit", ["pin", *names]))
    params = "params={'branch': ''}, "
    return _dag(source, "train", _schedule(Every.HOUR, [_own(source, "retrain")]), lines, params)


def _looks(source: CiSource) -> str:
    often = Every.HOUR if looks_often(source) else Every.SIX_HOURS
    seen, signed, told = evaluate(source), sign_looks(), publish_looks(source)
    lines = [
        _task("pin", "PIN", GuardedRunner.KEYS, 15, {}),
        _planned(source, seen, "EVALUATE"),
        _planned(source, signed, "SIGN", {"GITML_LOOKS": "{{ ti.xcom_pull(task_ids='evaluate') }}"}),
        _planned(source, told, "PUBLISH", more={"retries": "0", "outlets": _assets([_own(source, "looks")])}),
        _after("evaluate", ["pin"]),
        _after("sign", ["evaluate"]),
        _after("publish", ["sign"]),
    ]
    return _dag(source, "looks", _schedule(often), lines)


def _retrain(source: CiSource) -> str:
    """After looks, after upstreams in other applications were trained, and once a day."""
    ((job,),) = retrain(source)
    lines = [
        _task("pin", "PIN", GuardedRunner.KEYS, 15, {}),
        _planned(source, job, "RETRAIN", more={"outlets": _assets([_own(source, "retrain")])}),
        _after("retrain", ["pin"]),
    ]
    needed = [place for model in source.application.retrain for place in _upstreams(source, model, "")]
    return _dag(source, "retrain", _schedule(Every.DAY, [_own(source, "looks"), *needed]), lines)


def _score(source: CiSource, model: str, spec: ScheduledScoring) -> str:
    env = {
        "GITML_PINNED": _PINNED,
        "GITML_REFERENCE": f"{model}@{spec.environment}",
        "GITML_INPUT": spec.input,
        "GITML_OUTPUT": spec.output,
        "GITML_LOG": "yes" if spec.log else "",
        "GITML_DAY": _DAY,
        **_installing(source, "serve", _locks(source, model)),
    }
    lines = [
        _task("pin", "PIN", GuardedRunner.TRAFFIC, 15, {}),
        _task("score", "SCORE", GuardedRunner.TRAFFIC, 360, env, {"outlets": _assets([_own(source, model, "scores")])}),
        _after("score", ["pin"]),
    ]
    every = Every.HOUR if spec.every == "hour" else Every.DAY
    return _dag(source, f"score_{model}", _schedule(every, _upstreams(source, model, "scores")), lines)


def queue_of(labels: Sequence[str]) -> str:
    """The queue of workers that have these labels.

    >>> queue_of(("linux", "gpu"))
    'linux-gpu'
    """
    return "-".join(labels)


def _locks(source: CiSource, model: str) -> tuple[str, ...]:
    lock = source.application.models[model].packages if model in source.application.models else None
    return (lock,) if lock else ()


def _installing(source: CiSource, extra: str, packages: Sequence[str]) -> dict[str, str]:
    return {"GITML_PACKAGE": source.requirement(extra), **({"GITML_LOCKS": "\n".join(packages)} if packages else {})}


def _takes(jobs: Sequence[str]) -> str:
    return "\n".join(f"{name} {{{{ ti.xcom_pull(task_ids='{name}') or '' }}}}" for name in jobs)


def _retrainings(source: CiSource) -> Iterator[str]:
    """Branches that the bot opens: of a stale default branch, and of each model and cause."""
    yield f"refs/heads/gitml/retrain-{source.application.application}"
    folder = f"{source.folder.replace('/', '+')}+" if source.folder else ""
    for model in source.application.retrain:
        fine = re.sub(r"[^A-Za-z0-9._+-]", "-", folder + model)
        yield f"refs/heads/gitml/retrain/{fine}{'' if fine == folder + model else '*'}/*"


def _own(source: CiSource, *words: str) -> str:
    return "/".join(filter(None, [source.folder, *words]))


def _upstreams(source: CiSource, model: str, word: str) -> list[str]:
    """Assets of the models that this one is built on, as their own applications name them."""
    found = []
    for name, need in source.application.models[model].needs.items() if model in source.application.models else ():
        folder = "" if need.application == TOP else need.application
        home = source.folder if folder is None and not need.repository else folder
        at = urlsplit(need.repository or "")
        there = f"//{at.hostname or ''}{at.path.removesuffix('.git')}" if need.repository else ""
        if need.is_elsewhere or word:
            found.append("/".join(filter(None, [there, home, need.model or name, word])))
    return found


def _planned(
    source: CiSource,
    job: PlannedJob,
    script: str,
    env: Mapping[str, str] | None = None,
    more: Mapping[str, str] | None = None,
) -> str:
    told = {"GITML_PINNED": _PINNED, **(env or {}), **_installing(source, job.extra, job.packages)}
    return _task(job.name, script, queue_of(job.labels), job.minutes, told, more)


def _task(
    name: str, script: str, queue: str, minutes: int, env: Mapping[str, str], more: Mapping[str, str] | None = None
) -> str:
    rest = "".join(f", {key}={value}" for key, value in (more or {}).items())
    return f"{_variable(name)} = task({name!r}, {script}, {str(queue)!r}, {minutes}, {_mapping(env, 4)}{rest})"


def _after(name: str, before: Sequence[str]) -> str:
    return f"[{', '.join(map(_variable, before))}] >> {_variable(name)}"


def _variable(name: str) -> str:
    return "task_" + re.sub(r"[^a-z0-9]", "_", name)


def _schedule(every: Every, assets: Sequence[str] = ()) -> str:
    return f"schedule({', '.join(repr(word) for word in (_CRON[every], *dict.fromkeys(assets)))})"


def _assets(places: Iterator[str] | Sequence[str]) -> str:
    return f"[{', '.join(f'asset({place!r})' for place in places)}]"


def _mapping(values: Mapping[str, str], by: int) -> str:
    if not values:
        return "{}"
    inner = "".join(f"    {key!r}: {value!r},\n" for key, value in values.items())
    return indent(f"{{\n{inner}}}", " " * by).lstrip()


def _dag(source: CiSource, kind: str, when: str, lines: Sequence[str], more: str = "") -> str:
    name = f"{source.application.application}_{kind}"
    body = "\n".join(indent(line, "    ") if "\n" not in line else "    " + line for line in lines)
    return f"\nwith DAG({name!r}, schedule={when}, {more}**WITH):\n{body}\n"


def _capital(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def refuse_filled(source: CiSource) -> None:
    """Airflow fills templates in wherever they stand. Raises UsageError for a name of a user that looks like one."""
    app = source.application
    texts = [source.folder, source.gitml, *(t for job in source.jobs for t in (*job.labels, *job.packages))]
    texts += [t for s in app.scoring.values() for t in (s.input, s.output)]
    texts += [model.packages or "" for model in app.models.values()]
    for text in texts:
        if _FILLED.search(text) or "\n" in text:
            raise UsageError(f"{text!r} cannot stand in a DAG: Airflow would fill it in", "rename it")
