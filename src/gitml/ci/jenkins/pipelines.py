"""Pipelines of the default branch, as ``gitml.ci.plan`` has them. Each is a job that builds this branch alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gitml.ci.base import CiSource
from gitml.ci.jenkins.branches import KEEP
from gitml.ci.jenkins.groovy import block, exact, quoted
from gitml.ci.jenkins.layout import HANDOVER, about, agent, credentials, fresh, installed, shell
from gitml.ci.plan import Every, GuardedRunner, PlannedJob, PlannedPipeline

# ``H`` spreads the load: a number that is the same for a job at each time.
_CRON = {
    Every.TEN_MINUTES: "H/10 * * * *",
    Every.QUARTER: "H/15 * * * *",
    Every.HOUR: "H * * * *",
    Every.SIX_HOURS: "H H/6 * * *",
    Every.DAY: "H 3 * * *",
}
_PULL = "string(name: 'PULL', defaultValue: '', description: 'Number of a pull request; without it every open one')"
# A red stage is red, and holds nothing else up: each job looks at what is there.
_GOES_ON = "catchError(buildResult: 'FAILURE', stageResult: 'FAILURE')"
_QUIET = "catchError(buildResult: 'SUCCESS', stageResult: 'SUCCESS', message: 'nothing was handed over')"


def apart(planned: Sequence[PlannedPipeline]) -> list[PlannedPipeline]:
    """What asks for retrainings after looks has the key of evidence, and the folder of looks has not: it becomes a
    pipeline of its own, which follows them."""
    found: list[PlannedPipeline] = []
    for one in planned:
        steps = tuple(step for step in one.steps if one.kind != "monitor" or step[0].name != "retrain")
        found.append(replace(one, steps=steps))
        if steps != one.steps:
            found.append(PlannedPipeline("retrain", one.steps[len(steps) :], Every.DAY, ("monitor",)))
    return found


def pipeline(source: CiSource, planned: PlannedPipeline, after: Sequence[str]) -> list[str]:
    """``after`` are the full names of the jobs whose end starts this one."""
    branch = quoted(source.application.ci.branch)
    started = [f"cron({quoted(_CRON[planned.every])})"]
    started += ["pollSCM('H/5 * * * *')"] if planned.on_push else []
    if after:
        names = quoted(", ".join(after))
        started += [f"upstream(upstreamProjects: {names}, threshold: hudson.model.Result.FAILURE)"]
    common = ["CI = 'true'", "GITML_CI_SYSTEM = 'jenkins'"]
    common += [f"GITML_DEFAULT_BRANCH = {branch}", f"GITML_BRANCH = {branch}"]
    return block(
        "pipeline",
        ["agent none"],
        block("options", ["skipDefaultCheckout()", "disableConcurrentBuilds()", *KEEP]),
        block("parameters", [_PULL] if planned.kind == "gate" else []),
        block("triggers", started),
        block("environment", common),
        block("stages", _pin(), *(_step(source, number, jobs) for number, jobs in enumerate(planned.steps, 1))),
    )


def _pin() -> list[str]:
    """All stages are about one commit, also when the branch moves on while they run."""
    commit = "env.GITML_COMMIT = sh(script: 'git rev-parse HEAD', returnStdout: true).trim()"
    steps = ["deleteDir()", "checkout scm", *block("script", [commit])]
    return block("stage('pin')", [agent((GuardedRunner.KEYS,))], block("steps", steps))


def _step(source: CiSource, number: int, jobs: Sequence[PlannedJob]) -> list[str]:
    if len(jobs) == 1:
        return _stage(source, jobs[0])
    return block(f"stage({quoted(f'step {number}')})", block("parallel", *(_stage(source, job) for job in jobs)))


def _stage(source: CiSource, job: PlannedJob) -> list[str]:
    taken = [f'dir("{HANDOVER}/{name}") {{ {_QUIET} {{ unstash {quoted(name)} }} }}' for name in job.takes]
    if job.bare:
        run = exact(shell(['export GITML_CI="$WORKSPACE_TMP/gitml"', job.command]))
    else:
        run = shell(_command(source, job))
    steps = [
        *fresh(),
        *([] if job.bare else ["checkout scm"]),
        *taken,
        *block(f"timeout(time: {job.minutes}, unit: 'MINUTES')", run),
    ]
    give = [
        f"stash name: {quoted(name)}, includes: {quoted(files)}, allowEmpty: true" for name, files in job.gives.items()
    ]
    return block(
        f"stage({quoted(job.name)})",
        [agent(job.labels)],
        credentials(job.secrets),
        block("steps", block(_GOES_ON, steps)),
        block("post", block("always", block(f'dir("{HANDOVER}")', give))) if give else [],
    )


def _command(source: CiSource, job: PlannedJob) -> list[str]:
    pull = ['GITML_PULL="${PULL:-}"', "export GITML_PULL"] if job.name == "gate" else []
    return [*about(pinned=True), *pull, *installed(source, job.packages, job.extra), job.command]
