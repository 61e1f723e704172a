"""What happens on the default branch after a merge: versions are tried, evidence is signed, promotions proposed.

Jobs that load models or execute pipelines hold no key and no token that writes; the one that signs executes neither.
Reproducing may take as long as training, so it is a workflow of its own and nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from gitml.ci.base import CiSource
from gitml.ci.github import steps
from gitml.ci.github.gate import ENVIRONMENT
from gitml.ci.github.layout import job_of, path_of, small, workflow
from gitml.ci.github.propose import propose
from gitml.ci.github.retrain import retrain
from gitml.ci.github.steps import ON_MAIN, listed, mapping
from gitml.ci.wanted import SIGNING_KEY, ModelGroup, groups_of, jobs_of_group, minutes_to_repeat
from gitml.ci.yamltext import scalar

# Time passes: evidence gets old, and what a run that failed left undone is made up for.
_EVERY_DAY = {"main": '"41 3 * * *"', "reproduce": '"53 3 * * *"'}

# Versions and deployments, and what says how they are judged.
_OF_USE = ("models/**", "gitml.yaml", "policy.yaml", ".dvc/config")
_PATTERN = frozenset("*?+[]!\\")

_IF_MAIN = f"if: ${{{{ {ON_MAIN} }}}}"


def main(source: CiSource) -> str:
    """What was decided is signed at once; what versions show, when it is known."""
    tried = [_verify(source, group) for group in groups_of(source)]
    decided = _record(source, "record")
    evidence = _record(source, "evidence", ["record", *map(_name, tried)])
    due = propose(source, after="evidence", when=f"needs.evidence.result == 'success' && {ON_MAIN}")
    again = retrain(source, needs=["evidence"], when=f"!cancelled() && {ON_MAIN}")
    return _workflow(source, "main", [decided, *tried, evidence, due, *again])


def reproduce(source: CiSource) -> str:
    """Every model's new versions, trained again."""
    again = [_reproduce(source, group) for group in groups_of(source)]
    return _workflow(source, "reproduce", [*again, _record(source, "evidence", list(map(_name, again)))])


def _name(job: Sequence[str]) -> str:
    return job[0].removesuffix(":")


def _workflow(source: CiSource, kind: str, jobs: Sequence[Sequence[str]]) -> str:
    """One run at a time; one that waits gives way to a newer one, which sees all that it would have seen."""
    on = [
        "push:",
        f"  branches: [{scalar(source.application.ci.branch)}]",
        *_only_of_use(source, kind),
        "schedule:",
        f"  - cron: {_EVERY_DAY[kind]}",
        "workflow_dispatch:",
    ]
    return workflow(source, kind, on, ["group: ${{ github.workflow }}", "cancel-in-progress: false"], jobs)


def _only_of_use(source: CiSource, kind: str) -> list[str]:
    """A merge of code alone leaves nothing to sign, try or propose. What GitHub's filter overlooks the day makes up."""
    if _PATTERN & set(source.folder):
        return []
    files = [source.in_repository(name) for name in _OF_USE]
    return ["  paths:", *(f"    - {scalar(path)}" for path in (*files, path_of(source, kind)))]


def _verify(source: CiSource, group: ModelGroup) -> list[str]:
    """A model file is data, but who knows: it is opened where there is nothing to take."""
    head = [_IF_MAIN, *small(source, minutes=30), *_reading(source)]
    return job_of(f"verify-{group.name}", head, _trying(source, group, "verify", "serve"))


def _reproduce(source: CiSource, group: ModelGroup) -> list[str]:
    """Executes the pipeline, so what it says is kept apart from what the other job says."""
    jobs = jobs_of_group(source, group)
    head = [_IF_MAIN, runner_of(source, group), f"timeout-minutes: {minutes_to_repeat(jobs)}", *_reading(source)]
    return job_of(f"reproduce-{group.name}", head, _trying(source, group, "reproduce", ""))


def runner_of(source: CiSource, group: ModelGroup) -> str:
    """Where its last stage is trained, as ``hardware`` of gitml.yaml says; a small runner for what is never trained."""
    jobs = jobs_of_group(source, group)
    return f"runs-on: {listed(jobs[-1].labels)}" if jobs else small(source)[0]


def _trying(source: CiSource, group: ModelGroup, kind: str, extra: str) -> list[steps.Step]:
    flag, file = ("", "main") if kind == "verify" else (" --reproduce", "reproduce")
    return [
        steps.checkout(whole=True),
        *steps.install(source, group.packages, path_of(source, file), extra=extra),
        *steps.sign_in(source, writes=False),
        steps.run(f"gitml ci verify{flag} {' '.join(group.models)}", env=steps.secrets(source)),
        steps.upload(f"gitml-{kind}-{group.name}", f"{kind}-{group.name}.json"),
    ]


def _reading(source: CiSource) -> list[str]:
    """They only read the remote, so the keys of branches will do."""
    identity = {"id-token": "write"} if source.application.ci.oidc else {}
    environment = ["environment: gitml-branches"] if source.application.ci.secrets else []
    return [*environment, *mapping("permissions", {"contents": "read", **identity})]


def _record(source: CiSource, name: str, needs: Sequence[str] = ()) -> list[str]:
    wanted = {"actions": "read", "contents": "write", "pull-requests": "read"}
    sign_in, token = steps.app_token(source, {**wanted, "members": "read"})
    head = [
        *([f"needs: {listed(needs)}"] if needs else []),
        f"if: ${{{{ !cancelled() && {ON_MAIN} }}}}" if needs else _IF_MAIN,
        *small(source),
        f"environment: {ENVIRONMENT}",
        *mapping("permissions", {"contents": "read"} if sign_in else wanted),
    ]
    # Each artifact into a folder of its own name: a job cannot speak for another.
    said = {"pattern": "gitml-*", "path": steps.HANDOVER}
    body = [
        steps.checkout(whole=True),
        *steps.install(source, ()),
        *sign_in,
        *([steps.use("actions/download-artifact", said, more=["continue-on-error: true"])] if needs else []),
        steps.run("gitml ci record", env={"GITHUB_TOKEN": token, SIGNING_KEY: f"${{{{ secrets.{SIGNING_KEY} }}}}"}),
    ]
    return job_of(name, head, body)
