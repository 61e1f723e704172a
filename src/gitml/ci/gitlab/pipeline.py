"""All files of GitLab's CI: the one that GitLab reads, and those that it includes.

What decides, signs and proposes are jobs of the default branch's pipelines alone. A merge request changes its own
pipelines, never these: GitLab reads a pipeline's files from the commit that it runs at, and keys are protected
variables, which no pipeline of an unprotected branch or of a merge request gets. https://docs.gitlab.com/ci/yaml/
"""

from __future__ import annotations

from gitml.ci.base import CiSource
from gitml.ci.gitlab.layout import (
    HANDOVER,
    MAIN_FILE,
    after,
    check,
    install,
    job_of,
    kept,
    on_main,
    path_of,
    sign_in,
    tags_of,
    text_of,
)
from gitml.ci.gitlab.train import BOT, report, train
from gitml.ci.plan import TOKEN, Every, GuardedRunner, PlannedJob, PlannedPipeline, plan
from gitml.ci.wanted import ERASURES_KEY, LOOKS_KEY, OUTBOX, SIGNING_KEY
from gitml.ci.yamltext import Yaml, dumped

# Not at the full hour, when everybody's schedules come.
_TIMES = {
    Every.TEN_MINUTES: "*/10 * * * *",
    Every.QUARTER: "7,22,37,52 * * * *",
    Every.HOUR: "37 * * * *",
    Every.SIX_HOURS: "37 1,7,13,19 * * *",
    Every.DAY: "41 3 * * *",
}
_FIRST = "# Rendered by gitml: do not edit, run `gitml ci render`. Jobs of your own belong into files of .gitlab/ci."
# Protected variables that only the job with this Environment gets.
SIGNING, LOOKS, TRAFFIC, BRANCHES = "gitml", "gitml-looks", "gitml-traffic", "gitml-branches"


def render(source: CiSource) -> dict[str, str]:
    """Path in the repository → text. Raises UsageError for a name that cannot stand in such a file."""
    check(source)
    files = {"train": train(source), "report": report(source)} if source.jobs else {}
    files |= {pipeline.kind: _pipeline(source, pipeline) for pipeline in plan(source)}
    return {MAIN_FILE: _main_file(), **{path_of(kind): text_of(source, jobs) for kind, jobs in files.items()}}


def schedules(source: CiSource) -> dict[str, str]:
    """Description → times of the schedules on the default branch."""
    found = {"gitml report": _TIMES[Every.TEN_MINUTES]} if source.jobs else {}
    return found | {f"gitml {pipeline.kind}": _TIMES[pipeline.every] for pipeline in plan(source)}


def _pipeline(source: CiSource, pipeline: PlannedPipeline) -> dict[str, dict[str, Yaml]]:
    """A step follows the one before whatever became of it: each job looks at what is there."""
    found: dict[str, dict[str, Yaml]] = {}
    before: list[str] = []
    for step in pipeline.steps:
        made = {f"{pipeline.kind}:{job.name}": _job(source, pipeline, job, before) for job in step}
        found, before = {**found, **made}, list(made)
    return found


def _job(source: CiSource, pipeline: PlannedPipeline, job: PlannedJob, before: list[str]) -> dict[str, Yaml]:
    more: dict[str, Yaml] = {"timeout": f"{job.minutes} minutes", "needs": after(*before)}
    identity, lines = _identity(source, job)
    tags = tags_of([label for label in job.labels if label not in set(GuardedRunner)])
    more |= {"tags": tags} if tags else {}
    more |= {**_environment(job), **_group(job), **identity}
    if job.gives:
        more |= kept(source, *(f"{name}/" for name in job.gives))
    ends = pipeline.kind == "gate"
    if ends:
        # Behind all else, by the order of stages: what went before may have failed.
        more |= {"stage": "gitml-gate"}
    script = [*([] if job.bare else install(source, job.packages, job.extra)), *lines, _command(job)]
    made = job_of(source, script, _rules(pipeline, job, always=ends or bool(before)), more)
    if ends:
        made.pop("needs")
    if job.bare:
        # Nothing is checked out: there is what is taken, and no more.
        made["variables"] = {"GIT_STRATEGY": "none"}
    return made


def _rules(pipeline: PlannedPipeline, job: PlannedJob, *, always: bool) -> list[Yaml]:
    kinds = [pipeline.kind, *(["main"] if pipeline.on_push and pipeline.kind != "main" else [])]
    kinds += pipeline.after if pipeline.kind == "gate" else ()
    never: list[Yaml] = [{"if": f"${OUTBOX} == null", "when": "never"}] if OUTBOX in job.secrets else []
    return [*never, {**on_main(*kinds), **({"when": "always"} if always else {})}]


def _environment(job: PlannedJob) -> dict[str, Yaml]:
    """Whose variables the job gets: each secret is a variable of exactly one kind of job."""
    if SIGNING_KEY in job.secrets:
        name = SIGNING
    elif LOOKS_KEY in job.secrets:
        name = LOOKS
    elif ERASURES_KEY in job.secrets:
        name = "gitml-erasures"
    elif job.name == "carry-out":
        name = "gitml-subjects"
    elif job.bare:
        name = f"gitml-site-{job.name.removeprefix('publish-')}"
    elif TOKEN in job.secrets:
        name = BOT
    elif GuardedRunner.TRAFFIC in job.labels or job.name.startswith("replay-"):
        name = TRAFFIC
    else:
        name = BRANCHES if job.secrets else ""
    return {"environment": {"name": name, "action": "access"}} if name else {}


def _group(job: PlannedJob) -> dict[str, Yaml]:
    """Jobs that write to the same place wait for each other."""
    writes = {SIGNING_KEY: "gitml-ledger", LOOKS_KEY: "gitml-looks", OUTBOX: "gitml-ledger", TOKEN: "gitml-pulls"}
    return next(({"resource_group": group} for key, group in writes.items() if key in job.secrets), {})


def _identity(source: CiSource, job: PlannedJob) -> tuple[dict[str, Yaml], list[str]]:
    """Who reads DVC's remote or the traffic does it by the identity of the job."""
    if job.bare:
        role = job.name.removeprefix("publish-").upper().replace("-", "_").replace(".", "_")
        return sign_in(source, role=f"_SITE_{role}")
    if job.name == "carry-out" or _environment(job).get("environment") == {"name": TRAFFIC, "action": "access"}:
        return sign_in(source, role="_TRAFFIC")
    reads = job.gives or job.name in ("gate", "collect")
    return sign_in(source, writes=job.name == "collect") if reads else ({}, [])


def _command(job: PlannedJob) -> str:
    """With each file that it gives put into a folder of its own name, also where it failed: a job cannot speak for
    another."""
    if not job.gives:
        return job.command
    lines = ["code=0", f"{job.command} || code=$?"]
    for name, files in job.gives.items():
        head, place = files.partition("/")[0], f"{HANDOVER}/{name}"
        lines.append(f"if [ -e {HANDOVER}/{head} ]; then mkdir -p {place} && mv {HANDOVER}/{head} {place}/; fi")
    return "\n".join([*lines, "exit $code"])


def _main_file() -> str:
    """What the pipeline is for, and all else included. What a branch has here counts in its own pipelines alone."""
    here = "$CI_COMMIT_BRANCH"
    kinds = {
        '$CI_PIPELINE_SOURCE == "schedule"': "$CI_PIPELINE_SCHEDULE_DESCRIPTION",
        # A webhook of merge requests triggers the default branch.
        '$CI_PIPELINE_SOURCE == "trigger"': "gitml gate",
        '$CI_PIPELINE_SOURCE == "merge_request_event"': "merge request",
        f"{here} == $CI_DEFAULT_BRANCH": "gitml main",
        here: "gitml train",
    }
    rules: list[Yaml] = [{"if": test, "variables": {"GITML_WORKFLOW": name}} for test, name in kinds.items()]
    whole: dict[str, Yaml] = {
        "stages": [".pre", "build", "test", "gitml", "gitml-gate", "deploy", ".post"],
        "include": [{"local": "/.gitlab/ci/*.yml"}],
        "workflow": {
            "name": "$GITML_WORKFLOW",
            "auto_cancel": {"on_new_commit": "interruptible"},
            "rules": [*rules, {"when": "always"}],
        },
    }
    return "\n".join([_FIRST, *dumped(whole)]) + "\n"
