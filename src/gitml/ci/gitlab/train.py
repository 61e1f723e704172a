"""Training: at every push to a branch, without a secret; what comes of it is told by a job of the default branch.

A branch can change its own pipeline, so its jobs hold nothing that is worth taking: they read the repository, and data
by an identity of their own. What they hand over is looked at by `gitml ci finish` in a pipeline of the default branch,
which has the bot's token, commits to the branch and posts. On the default branch both happen in one pipeline.
"""

from __future__ import annotations

from gitml.ci.base import CiJob, CiSource
from gitml.ci.gitlab.layout import after, install, job_of, kept, on_main, sign_in, tags_of
from gitml.ci.wanted import minutes_of
from gitml.ci.yamltext import Yaml

BOT = "gitml-bot"
# Branches that gitml itself writes, and that have nothing to train.
_OWN = "/^gitml-(assets|ledger|looked|looks)$/"
_ON_PUSH = f"$CI_COMMIT_BRANCH && $CI_COMMIT_BRANCH !~ {_OWN} && $CI_PIPELINE_SOURCE =~ /^(push|api|web)$/"


def train(source: CiSource) -> dict[str, dict[str, Yaml]]:
    jobs = {job.name: _training(source, job) for job in source.jobs}
    return {**jobs, "commit": _commit(source, list(jobs)), "publish": _publish(source)}


def _training(source: CiSource, job: CiJob) -> dict[str, Yaml]:
    identity, lines = sign_in(source)
    script = [*install(source, job.packages), *lines, f"gitml ci run {job.name}"]
    tags = tags_of(job.labels)
    more: dict[str, Yaml] = {"tags": tags} if tags else {}
    more |= {"needs": after(*job.needs), "timeout": f"{minutes_of(job.timeout)} minutes", **identity, **_data(source)}
    # Of a branch only the newest push is of interest; what the default branch has begun is finished.
    more |= {"interruptible": True, **kept(source, f"fragment-{job.name}.json")}
    return job_of(source, script, _rules(source), more)


def _rules(source: CiSource) -> list[Yaml]:
    """Keys of data for the default branch are protected variables of gitml-main; those of branches are all others'."""
    if not source.application.ci.secrets:
        return [{"if": _ON_PUSH}]
    is_main = f"$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH && {_ON_PUSH}"
    return [
        {"if": is_main, "variables": {"GITML_DATA": "gitml-main"}},
        {"if": _ON_PUSH, "variables": {"GITML_DATA": "gitml-branches"}},
    ]


def _data(source: CiSource) -> dict[str, Yaml]:
    return {"environment": {"name": "$GITML_DATA", "action": "access"}} if source.application.ci.secrets else {}


def _bot() -> dict[str, Yaml]:
    return {"environment": {"name": BOT, "action": "access"}}


def _commit(source: CiSource, names: list[str]) -> dict[str, Yaml]:
    identity, lines = sign_in(source)
    script = [*install(source, extra="report"), *lines, "gitml ci commit"]
    files = kept(source, "report.json", "report-pictures/")
    more = {**_bot(), **identity, "needs": after(*names), "resource_group": "gitml-commit", **files}
    return job_of(source, script, [{**on_main("main"), "when": "always"}], more)


def _publish(source: CiSource) -> dict[str, Yaml]:
    script = [*install(source, extra="report"), "gitml ci publish --publisher gitml"]
    return job_of(source, script, [{**on_main("main"), "when": "always"}], {**_bot(), "needs": after("commit")})


def report(source: CiSource) -> dict[str, dict[str, Yaml]]:
    """Tells what pipelines of branches gave. Runs what the default branch has, and no line of theirs."""
    identity, lines = sign_in(source)
    script = [*install(source, extra="report"), *lines, "gitml ci finish"]
    more = {**_bot(), **identity, "timeout": "30 minutes", "resource_group": "gitml-report"}
    return {"report": job_of(source, script, [on_main("report", "gate", "main")], more)}
