"""The bot asks for a training by a pull request, and people merge what it gives: because main is stale, or because of
a cause of gitml.yaml."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gitml.ci import table
from gitml.cijobs.context import Push
from gitml.cijobs.push import BOT
from gitml.errors import GitmlError
from gitml.forges.base import Forge, NewPull
from gitml.forges.table import FORGES
from gitml.git.commands import Git
from gitml.git.edit import bring, swap, tip_of
from gitml.git.orphan import Remote
from gitml.spec.application import Application
from gitml.training.train import Training

# Branches of models that gitml.yaml retrains; the one of a stale main is `branch_of`.
RETRAIN = "gitml/retrain"
# How often, a second apart, we look whether the push of an app has started its run.
_LOOKS = 3


def branch_of(application: str) -> str:
    """One branch for all models of an application: a push trains whatever is stale."""
    return f"{RETRAIN}-{application}"


def is_retrain_branch(branch: str, application: str) -> bool:
    """Whether the bot asked for the training of this branch, whose result it commits in any case."""
    return branch == branch_of(application) or branch.startswith(f"{RETRAIN}/")


@dataclass(frozen=True)
class TrainingWish:
    """``make`` the commit that asks, on top of a head of the branch where there is one. ``holds``: whether that head
    will do."""

    branch: str
    holds: Callable[[str], bool]
    make: Callable[[str | None], str]


def put_training(git: Git, remote: Remote, wish: TrainingWish) -> tuple[str, bool] | None:
    """The head of the branch, and whether it is new; None where another run just moved the branch.

    On top of a branch that is there, so that it only moves forward; what main does not have goes.
    """
    there = tip_of(git.root, remote, wish.branch)
    if there:
        bring(git, remote, there, whole=True)
        if wish.holds(there):
            return there, False
    head = wish.make(there)
    return (head, True) if swap(git.root, remote, wish.branch, there, head) else None


def ask(about: Training, push: Push, forge: Forge | None, stale: Sequence[str]) -> str:
    """Open the retrain pull request, or bring the one that is open up to main. What was done, in a sentence.

    Called twice it does nothing the second time.
    """
    names = ", ".join(stale)
    if forge is None or not push.repository:
        return f"main is stale: {names} must be trained again (`gitml train`)"
    # With these come all kinds of proposals, and this one is seldom made.
    from gitml.derivation import proposal, retrain
    from gitml.derivation.claim import Claim

    branch = branch_of(about.application.application)
    commit = about.git.resolve("HEAD") or ""
    words = "Train what main has\n\nIts dvc.lock comes from a merge: no recorded run gave all of it."
    claim = Claim(retrain.NAME, commit)
    wish = TrainingWish(
        branch,
        holds=lambda head: about.git.is_ancestor(commit, head),
        make=lambda onto: proposal.commit_of(about.git, claim, (), words, BOT, onto=onto),
    )
    put = put_training(about.git, push.remote, wish)
    if put is None:
        return f"main is stale: {names}; another run just moved {branch}, and asks for the training"
    try:
        by = f"by pull request #{forge.pulls.open(_words(push, branch, names)).number}"
    except GitmlError as exc:
        # GitHub's repositories start with "Actions may not create pull requests"; the branch trains all the same.
        by = f"on the branch {branch}: open a pull request for it, the forge refused the bot's ({_first(exc)})"
    workflow = workflow_of(about.application, about.git.prefix, "train")
    waits = start_training(forge, workflow, branch, put[0])
    return f"main is stale: {names} must be trained again, {by}{f'; {waits}' if waits else ''}"


def _words(push: Push, branch: str, names: str) -> NewPull:
    body = (
        f"No recorded run gave what `{push.default_branch}` says of {names}: this happens when two branches that each "
        "trained are merged, or when code was merged without its training. This branch has the tree of "
        f"`{push.default_branch}`; its training gives a version that fits, and merging it puts that right."
    )
    return NewPull(title=f"Retrain {names}", head=branch, base=push.default_branch, body=body)


def workflow_of(application: Application, prefix: str, kind: str) -> str:
    """The workflow to start on the forge; "" where a CI system beside it starts by itself, at pushes and schedules."""
    system = application.ci.system[0]
    return table.workflow_of(system, application.application, prefix, kind) if system in FORGES else ""


def start_training(forge: Forge, workflow: str, branch: str, head: str, *, is_new: bool = True) -> str:
    """The push of a job's own token starts no workflow, but its dispatch does (DESIGN decision 11). Why it waits.

    ``is_new``: it was pushed just now, so that a run which the push started may yet come.
    """
    if not workflow:
        return ""
    try:
        for _ in range(_LOOKS if is_new else 1):
            # The pull request has runs of its own, which wait for approval and train nothing.
            if any(r.branch == branch and r.event in ("push", "workflow_dispatch") for r in forge.runs.of_commit(head)):
                return ""
            time.sleep(1 if is_new else 0)
        forge.runs.start(workflow, branch)
    except GitmlError as exc:
        return f"it waits for somebody to run the workflow {workflow} on {branch} ({_first(exc)})"
    return ""


def wake_gate(forge: Forge, workflow: str, branch: str) -> str:
    """What a job's token pushes calls nobody, and the gate looks by itself once an hour: have it look now.

    ``workflow`` is the gate's file, ``branch`` the default one. Why it could not be called, or "".
    """
    if not workflow:
        return ""
    try:
        forge.runs.start(workflow, branch)
    except GitmlError as exc:
        return f"the gate looks at it within the hour: it could not be called ({_first(exc)})"
    return ""


def _first(exc: GitmlError) -> str:
    return exc.message.splitlines()[0][:200]
