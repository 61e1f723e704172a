"""Workflows of GitHub: training at every push and at pull requests from forks; with a policy, all that promotes.

Each job gets what it needs and no more: jobs that execute the repository's code hold no token that writes, the one that
commits and the one that posts execute none of it. What a user can name reaches a shell only through the environment.
https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax
"""

from __future__ import annotations

from collections.abc import Sequence

from gitml.ci.base import CiJob, CiSource
from gitml.ci.github import steps
from gitml.ci.github.collect import collect
from gitml.ci.github.export import export
from gitml.ci.github.forks import fork, fork_report
from gitml.ci.github.gate import gate, review
from gitml.ci.github.layout import (
    ALWAYS,
    REPORT,
    header,
    is_hosted,
    job_of,
    path_of,
    small,
    small_labels,
    workflow,
)
from gitml.ci.github.main import main, reproduce
from gitml.ci.github.monitor import monitor
from gitml.ci.github.replay import replay
from gitml.ci.github.site import site
from gitml.ci.github.steps import MAIN, listed, mapping
from gitml.ci.github.subjects import subjects
from gitml.ci.wanted import (
    minutes_of,
    wants_collection,
    wants_exports,
    wants_looks,
    wants_replays,
    wants_reproduction,
    wants_sites,
    wants_subjects,
)
from gitml.errors import UsageError

# A run that goes again is no newer push than one that came after it.
_NEW_PUSH = "github.event_name == 'push' && github.run_attempt == 1"


def render(source: CiSource) -> dict[str, str]:
    """Path in the repository → text, for every workflow of the application. Raises UsageError for a place whose name
    GitHub would take for an expression."""
    told = source.application.traffic.export if source.application.traffic else {}
    exported = (text for name, one in told.items() for text in (source.application.export_folder(name), one.label))
    for path in (source.folder, *(p for job in source.jobs for p in job.packages), *exported):
        if "${{" in path or not path.isprintable():
            raise UsageError(f"{path!r} cannot stand in a workflow: GitHub would fill it in", "rename it")
    files = {"train": _train(source), "ready": _ready(source)} if source.jobs else {}
    if source.policy is not None:
        files |= {"gate": gate(source), "review": review(source), "main": main(source)}
        files |= {"reproduce": reproduce(source)} if wants_reproduction(source.policy) else {}
        files |= {"collect": collect(source)} if wants_collection(source.policy) else {}
        files |= {"monitor": monitor(source)} if wants_looks(source.policy) else {}
        files |= {"export": export(source)} if wants_exports(source) else {}
        files |= {"site": site(source)} if wants_sites(source) else {}
        files |= {"subjects": subjects(source)} if wants_subjects(source) else {}
        files |= {"replay": replay(source)} if wants_replays(source.policy) else {}
    if source.jobs and source.application.ci.forks:
        files |= {"fork": fork(source), "fork-report": fork_report(source)}
    return {path_of(source, kind): f"{header(source.folder)}\n{text}" for kind, text in files.items()}


# Branches of gitml's own, and those that a merge queue makes.
_NOT_TRAINED = (
    "gitml-assets", "gitml-ledger", "gitml-looked", "gitml-looks", "gitml-served", "gh-readonly-queue/**",
)  # fmt: skip


def _train(source: CiSource) -> str:
    names = [job.name for job in source.jobs]
    return workflow(
        source,
        "train",
        [
            "push:",
            f"  branches-ignore: [{', '.join(_NOT_TRAINED)}]",
            "workflow_dispatch:",
        ],
        [
            "group: ${{ github.workflow }}-${{ github.ref }}",
            "# Of a branch only the newest push is of interest; what the default branch has begun is finished.",
            f"cancel-in-progress: ${{{{ {_NEW_PUSH} && github.ref != {MAIN} }}}}",
        ],
        [
            *(_training(source, job) for job in source.jobs),
            *(_waiting(source, job) for job in _maybe_nowhere(source)),
            _commit(source, names),
            _publish(source),
        ],
    )


def _training(source: CiSource, job: CiJob) -> list[str]:
    head = [
        *([f"needs: {listed(job.needs)}"] if job.needs else []),
        f"runs-on: {listed(job.labels)}",
        f"timeout-minutes: {minutes_of(job.timeout)}",
        *_environment(source),
        *mapping("permissions", {"contents": "read", **_identity(source)}),
    ]
    body = [
        steps.checkout(whole=True),
        *steps.install(source, job.packages, path_of(source, "train")),
        *steps.sign_in(source),
        *([steps.download_fragments()] if job.needs else []),
        steps.run(f"gitml ci run {job.name}", env=steps.secrets(source)),
        steps.upload(f"fragment-{job.name}", f"fragment-{job.name}.json"),
    ]
    return job_of(job.name, head, body)


def _maybe_nowhere(source: CiSource) -> list[CiJob]:
    """The first job on each kind of runner that GitHub does not have itself."""
    first: dict[tuple[str, ...], CiJob] = {}
    for job in source.jobs:
        if not is_hosted(job.labels):
            first.setdefault(job.labels, job)
    # Where all runners are of one's own, the job that waits could wait for the same runner.
    return list(first.values()) if is_hosted(small_labels(source)) else []


def _waiting(source: CiSource, job: CiJob) -> list[str]:
    """GitHub queues a job that no runner takes for a day, without a word to anybody."""
    wanted = {"actions": "read", "contents": "read", "pull-requests": "write", "statuses": "write"}
    sign_in, token = steps.app_token(source, {k: wanted[k] for k in ("actions", "pull-requests", "statuses")})
    head = [*([f"needs: {listed(job.needs)}"] if job.needs else []), *small(source, minutes=30)]
    head += mapping("permissions", {"contents": "read"} if sign_in else wanted)
    body = [
        steps.checkout(whole=False),
        *steps.install(source, (), path_of(source, "train"), extra="report"),
        *sign_in,
        steps.run(f"gitml ci wait {job.name}", env={"GITHUB_TOKEN": token}),
    ]
    return job_of(f"wait-for-{job.name.removeprefix('train-')}", head, body)


def _commit(source: CiSource, names: Sequence[str]) -> list[str]:
    # A push of the job's own token starts no workflow: the bot starts the training of its retrain branch by hand.
    wanted = {"actions": "write", "contents": "write", "pull-requests": "write"}
    sign_in, token = steps.app_token(source, wanted)
    own = {"contents": "read"} if sign_in else wanted
    head = [
        f"needs: {listed(names)}",
        ALWAYS,
        *small(source),
        *_environment(source),
        *mapping("permissions", {**own, **_identity(source)}),
    ]
    env = {"GITHUB_TOKEN": token, "GITML_NEEDS": "${{ toJSON(needs) }}", **steps.secrets(source)}
    body = [
        steps.checkout(whole=True),
        *steps.install(source, (), path_of(source, "train"), extra="report"),
        *steps.sign_in(source),
        *sign_in,
        steps.download_fragments(),
        steps.run("gitml ci commit", env=env),
        steps.upload(REPORT, "report*"),
    ]
    return job_of("commit", head, body)


def _publish(source: CiSource) -> list[str]:
    wanted = {"contents": "write", "pull-requests": "write", "statuses": "write"}
    sign_in, token = steps.app_token(source, wanted)
    head = ["needs: commit", ALWAYS, *small(source)]
    head += mapping("permissions", {"contents": "read"} if sign_in else wanted)
    report = {"name": REPORT, "path": steps.HANDOVER}
    body = [
        steps.checkout(whole=False),
        *steps.install(source, (), path_of(source, "train"), extra="report"),
        *steps.cml(source),
        *sign_in,
        steps.use("actions/download-artifact", report, more=["continue-on-error: true"]),
        steps.run("gitml ci publish", env={"GITHUB_TOKEN": token, "GITML_NEEDS": "${{ toJSON(needs) }}"}),
    ]
    return job_of("publish", head, body)


def _ready(source: CiSource) -> str:
    """A pull request that opens or becomes ready is no push: its branch is trained again, which runs no stage twice.

    The training itself stays a run of the branch: one of ``pull_request`` sees the merge commit, and does not start
    when there are conflicts.
    """
    label = ", labeled" if source.application.train.commit == "label" else ""
    head = [
        "if: ${{ github.event.pull_request.head.repo.full_name == github.repository }}",
        *small(source),
        *mapping("permissions", {"actions": "write", "contents": "read"}),
    ]
    body = [
        steps.checkout(whole=False),
        *steps.install(source, (), path_of(source, "ready"), extra="report"),
        steps.run("gitml ci dispatch", env={"GITHUB_TOKEN": "${{ github.token }}"}),
    ]
    on = ["pull_request:", f"  types: [opened, reopened, ready_for_review{label}]"]
    group = ["group: ${{ github.workflow }}-${{ github.event.pull_request.number }}", "cancel-in-progress: true"]
    return workflow(source, "ready", on, group, [job_of("dispatch", head, body)])


def _environment(source: CiSource) -> list[str]:
    """Keys for the default branch live in an Environment that only the default branch may use."""
    if not source.application.ci.secrets:
        return []
    return [f"environment: ${{{{ github.ref == {MAIN} && 'gitml-main' || 'gitml-branches' }}}}"]


def _identity(source: CiSource) -> dict[str, str]:
    return {"id-token": "write"} if source.application.ci.oidc else {}
