"""What trains branches, and what reports on them: two jobs, because a branch writes the first one itself.

In a multibranch pipeline every branch has its own Jenkinsfile, so whatever the folder of that job holds, every branch
has. It gets the keys of DVC's remote that branches may have, and no token. What it hands over is taken by a job that
builds the default branch alone: it learns from Jenkins, and not from the branch, which branch that was.
"""

from __future__ import annotations

from collections.abc import Sequence

from gitml.ci.base import CiJob, CiSource
from gitml.ci.jenkins.groovy import block, quoted
from gitml.ci.jenkins.layout import HANDOVER, about, agent, credentials, fresh, home_of, installed, shell
from gitml.ci.plan import TOKEN, GuardedRunner, same_named
from gitml.ci.wanted import minutes_of

_COMMON = ["CI = 'true'", "GITML_CI_SYSTEM = 'jenkins'"]


def train(source: CiSource) -> list[str]:
    """The pipeline of every branch: the jobs of `dvc.yaml`, each on its hardware, side by side where they can."""
    stages = [_level(source, number, jobs) for number, jobs in enumerate(_levels(source.jobs), 1)]
    report = quoted(f"/{home_of(source)}/main/report")
    told = "[string(name: 'OF', value: env.BUILD_TAG), string(name: 'COMMIT', value: env.GITML_TRAINED ?: '')]"
    tell = [
        "// The report asks Jenkins which build this was; a pull request's merge is nobody's training.",
        *block(
            "script",
            block("if (!env.CHANGE_ID)", [f"build job: {report}, wait: false, parameters: {told}"]),
        ),
    ]
    # Only the newest push of a branch is of interest; what the default branch has begun is finished.
    abort = f"abortPrevious: env.BRANCH_NAME != {quoted(source.application.ci.branch)}"
    permitted = f"copyArtifactPermission({quoted(f'/{home_of(source)}/main/report')})"
    return block(
        "pipeline",
        ["agent none"],
        block("options", ["skipDefaultCheckout()", f"disableConcurrentBuilds({abort})", permitted, *KEEP]),
        block("environment", [*_COMMON, f"GITML_DEFAULT_BRANCH = {quoted(source.application.ci.branch)}"]),
        block("stages", *stages),
        block("post", block("always", tell)),
    )


KEEP = ["buildDiscarder(logRotator(numToKeepStr: '100'))"]


def _levels(jobs: Sequence[CiJob]) -> list[list[CiJob]]:
    """Jobs that need nothing of each other, after those that they need."""
    depth: dict[str, int] = {}
    for job in jobs:  # each stands after those that it needs
        depth[job.name] = 1 + max((depth[name] for name in job.needs), default=0)
    return [[job for job in jobs if depth[job.name] == level] for level in sorted(set(depth.values()))]


def _level(source: CiSource, number: int, jobs: Sequence[CiJob]) -> list[str]:
    if len(jobs) == 1:
        return _stage(source, jobs[0])
    return block(f"stage({quoted(f'step {number}')})", block("parallel", *(_stage(source, job) for job in jobs)))


def _stage(source: CiSource, job: CiJob) -> list[str]:
    fragment = quoted(f"fragment-{job.name}")
    run = [
        *about(),
        'GITML_BRANCH="$BRANCH_NAME" GITML_CAUSE=push',
        "export GITML_BRANCH GITML_CAUSE",
        *installed(source, job.packages, ""),
        f"gitml ci run {job.name}",
    ]
    brought = [f"unstash {quoted(f'fragment-{name}')}" for name in job.needs]
    pinned = "env.GITML_TRAINED = sh(script: 'git rev-parse HEAD', returnStdout: true).trim()"
    steps = [
        *fresh(),
        "checkout scm",
        *block("script", [pinned]),
        *block(f'dir("{HANDOVER}")', brought),
        *block(f"timeout(time: {minutes_of(job.timeout)}, unit: 'MINUTES')", shell(run)),
    ]
    kept = f"fragment-{job.name}.json"
    give = [
        f"stash name: {fragment}, includes: {quoted(kept)}, allowEmpty: true",
        f"archiveArtifacts artifacts: {quoted(kept)}, allowEmptyArchive: true",
    ]
    return block(
        f"stage({quoted(job.name)})",
        ["when { beforeAgent true; not { changeRequest() } }", agent(job.labels)],
        credentials(same_named(*source.application.ci.secrets)),
        block("steps", steps),
        block("post", block("always", block(f'dir("{HANDOVER}")', give))),
    )


_FROM = """\
def from = currentBuild.upstreamBuilds[0]
if (!from || !from.fullProjectName.startsWith(HOME)) { error('the builds of branches start this job') }
"""


def report(source: CiSource) -> list[str]:
    """The job with the token that commits and comments. Of the branch it has files and a commit, and runs neither."""
    home = quoted(f"{home_of(source)}/branches/")
    start = len(f"{home_of(source)}/branches/")
    take = 'copyArtifacts(projectName: from.fullProjectName, selector: specific("${from.number}"), optional: true, '
    take += "filter: 'fragment-*.json')"
    said = [
        f'"GITML_PROJECT=${{from.fullProjectName.substring({start})}}"',
        '"GITML_RUN=${from.number}"',
        '"GITML_RUN_URL=${from.absoluteUrl}"',
    ]
    work = [
        *_FROM.replace("HOME", home).rstrip("\n").split("\n"),
        f'dir("{HANDOVER}") {{ {take} }}',
        *block(f"withEnv([{', '.join(said)}])", block("timeout(time: 30, unit: 'MINUTES')", shell(_reporting(source)))),
    ]
    return block(
        "pipeline",
        [agent((GuardedRunner.KEYS,))],
        block("options", ["skipDefaultCheckout()", *KEEP]),
        block(
            "parameters",
            [
                "string(name: 'OF', description: 'Which build, so that Jenkins does not take two for one; not read')",
                "string(name: 'COMMIT', description: 'What it trained; must be a commit of its branch')",
            ],
        ),
        block("environment", [*_COMMON, f"GITML_DEFAULT_BRANCH = {quoted(source.application.ci.branch)}"]),
        block(
            "stages",
            block(
                "stage('report')",
                credentials(same_named(TOKEN, *source.application.ci.secrets)),
                block("steps", fresh(), ["checkout scm"], block("script", work)),
            ),
        ),
    )


def _reporting(source: CiSource) -> list[str]:
    """gitml is installed from the default branch before the commit of the branch lies there."""
    decode = "import os, urllib.parse; print(urllib.parse.unquote(os.environ['GITML_PROJECT']))"
    return [
        *installed(source, (), "report"),
        f'GITML_BRANCH="$(python -I -c {chr(34)}{decode}{chr(34)})" GITML_CAUSE=push',
        "export GITML_BRANCH GITML_CAUSE",
        'case "$COMMIT" in "" | *[!0-9a-f]*) echo "the build named no commit" >&2; exit 1 ;; esac',
        'git merge-base --is-ancestor "$COMMIT" "refs/remotes/origin/$GITML_BRANCH"',
        'git checkout -q --detach "$COMMIT"',
        *about(),
        "failed=0",
        "gitml ci commit || failed=$?",
        "gitml ci publish",
        'exit "$failed"',
    ]
