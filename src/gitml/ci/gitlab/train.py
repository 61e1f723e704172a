"""Training: at every push to a branch, without a secret; what comes of it is told by a job of the default branch.

A branch can change its own pipeline, so its jobs hold nothing that is worth taking: they read the repository, and data
by an identity of their own. What they hand over is looked at by `gitml ci finish` from the default branch's pipeline,
which holds the bot's token, commits to the branch and posts. On the default branch both happen in one pipeline.
"""

from __future__ import annotations

from gitml.ci.base import CiJob, CiSource
from gitml.ci.github.layout import minutes_of
from gitml.ci.gitlab.layout import install, job_of, on_main, sign_in
from gitml.ci.yamltext import Yaml

BOT = "gitml-bot"
# Branches that gitml itself writes, and that have nothing to train.
_OWN = "/^gitml-(assets|ledger|looked|looks)$/"
ON_PUSH = f"$CI_COMMIT_BRANCH && $CI_COMMIT_BRANCH !~ {_OWN} && $CI_PIPELINE_SOURCE =~ /^(push|api|web)$/"


def train(source: CiSource) -> dict[str, dict[str, Yaml]]:
    jobs = {job.name: _training(source, job) for job in source.jobs}
    names = list(jobs)
    return {**jobs, "commit": _commit(source, names), "publish": _publish(source)}


def _training(source: CiSource, job: CiJob) -> dict[str, Yaml]:
    more, lines = sign_in(source)
    script = [*install(source, job.packages), *lines, f"gitml ci run {job.name}"]
    made = job_of(
        source,
        script,
        stage="gitml-train",
        rules=_rules(source),
        needs=job.needs,
        labels=job.labels,
        minutes=minutes_of(job.timeout),
        environment=_environment(source),
        keep=[f"fragment-{job.name}.json"],
        more=more,
    )
    # Of a branch only the newest push is of interest; what the default branch has begun is finished.
    made["interruptible"] = True
    return made


def _rules(source: CiSource) -> list[Yaml]:
    if not source.application.ci.secrets:
        return [{"if": ON_PUSH}]
    main: Yaml = {
        "if": f"$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH && {ON_PUSH}",
        "variables": {"GITML_DATA": "gitml-main"},
    }
    return [main, {"if": ON_PUSH, "variables": {"GITML_DATA": "gitml-branches"}}]


def _environment(source: CiSource) -> str:
    """Keys of data for the default branch are variables of gitml-main, which are protected; others are of branches."""
    return "$GITML_DATA" if source.application.ci.secrets else ""


def _commit(source: CiSource, names: list[str]) -> dict[str, Yaml]:
    more, lines = sign_in(source)
    script = [*install(source, extra="report"), *lines, "gitml ci commit"]
    rules = on_main("main")
    keep = ["report.json", "report-pictures/"]
    made = job_of(
        source, script, stage="gitml-tell", rules=rules, needs=names, environment=BOT, keep=keep, always=True, more=more
    )
    return {**made, "resource_group": "gitml-commit"}


def _publish(source: CiSource) -> dict[str, Yaml]:
    script = [*install(source, extra="report"), "gitml ci publish --publisher gitml"]
    rules = on_main("main")
    return job_of(source, script, stage="gitml-tell", rules=rules, needs=["commit"], environment=BOT, always=True)


def report(source: CiSource) -> dict[str, dict[str, Yaml]]:
    """Tells what pipelines of branches gave. Runs from the default branch, and no line of what they have."""
    more, lines = sign_in(source)
    script = [*install(source, extra="report"), *lines, "gitml ci finish"]
    kinds = ("report", "gate", "main")
    made = job_of(
        source, script, stage="gitml-tell", rules=on_main(*kinds), environment=BOT, minutes=30, always=True, more=more
    )
    return {"report": {**made, "resource_group": "gitml-report"}}
