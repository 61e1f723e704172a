"""main is stale: the bot asks for a training by a pull request, and people merge what it gives."""

from __future__ import annotations

import time
from collections.abc import Sequence

from gitml.ci.github.layout import file_name
from gitml.cijobs.context import Push
from gitml.cijobs.push import BOT
from gitml.errors import GitmlError
from gitml.forges.base import Forge, NewPull
from gitml.git.edit import bring, swap, tip_of
from gitml.training.train import Training

# How often, a second apart, we look whether the push of an app has started its run.
_LOOKS = 3


def branch_of(application: str) -> str:
    """One branch for all models of an application: a push trains whatever is stale."""
    return f"gitml/retrain-{application}"


def ask(about: Training, push: Push, forge: Forge | None, stale: Sequence[str]) -> str:
    """Open the retrain pull request, or bring the one that is open up to main. What was done, in a sentence.

    Called twice it does nothing the second time.
    """
    names = ", ".join(stale)
    if forge is None or not push.repository:
        return f"main is stale: {names} must be trained again (`gitml train`)"
    branch = branch_of(about.application.application)
    commit = about.git.resolve("HEAD") or ""
    there = tip_of(about.root, push.remote, branch)
    head, is_new = (there, False) if there and _holds(about, push, there, commit) else (_trigger(about, there), True)
    if is_new and not swap(about.root, push.remote, branch, there, head):
        return f"main is stale: {names}; another run just moved {branch}, and asks for the training"
    try:
        by = f"by pull request #{forge.pulls.open(_words(push, branch, names)).number}"
    except GitmlError as exc:
        # GitHub's repositories start with "Actions may not create pull requests"; the branch trains all the same.
        by = f"on the branch {branch}: open a pull request for it, the forge refused the bot's ({_first(exc)})"
    return f"main is stale: {names} must be trained again, {by}{_started(about, forge, branch, head)}"


def _holds(about: Training, push: Push, there: str, commit: str) -> bool:
    """Whether the retrain branch already has this commit of main in it."""
    bring(about.git, push.remote, there)
    return about.git.is_ancestor(commit, there)


def _trigger(about: Training, there: str | None) -> str:
    """A commit with main's tree: a pull request needs one, and a push starts the training.

    On top of a retrain branch that is there, so that it only moves forward; what main does not have goes.
    """
    # With these come all kinds of proposals, and this one is seldom made.
    from gitml.derivation import proposal, retrain
    from gitml.derivation.claim import Claim

    claim = Claim(retrain.NAME, about.git.resolve("HEAD") or "")
    words = "Train what main has\n\nIts dvc.lock comes from a merge: no recorded run gave all of it."
    return proposal.commit_of(about.git, claim, (), words, BOT, onto=there)


def _words(push: Push, branch: str, names: str) -> NewPull:
    body = (
        f"No recorded run gave what `{push.default_branch}` says of {names}: this happens when two branches that each "
        "trained are merged, or when code was merged without its training. This branch has the tree of "
        f"`{push.default_branch}`; its training gives a version that fits, and merging it puts that right."
    )
    return NewPull(title=f"Retrain {names}", head=branch, base=push.default_branch, body=body)


def _started(about: Training, forge: Forge, branch: str, head: str) -> str:
    """The push of a job's own token starts no workflow, but its dispatch does (DESIGN decision 11)."""
    workflow = file_name(about.application.application, about.git.prefix, "train")
    try:
        for _ in range(_LOOKS):
            # The pull request has runs of its own, which wait for approval and train nothing.
            if any(r.branch == branch and r.event in ("push", "workflow_dispatch") for r in forge.runs.of_commit(head)):
                return ""
            time.sleep(1)
        forge.runs.start(workflow, branch)
    except GitmlError as exc:
        return f"; it waits for somebody to run the workflow {workflow} on {branch} ({_first(exc)})"
    return ""


def wake_gate(forge: Forge, workflow: str, branch: str) -> str:
    """What a job's token pushes calls nobody, and the gate looks by itself once an hour: have it look now.

    ``workflow`` is the gate's file, ``branch`` the default one. Why it could not be called, or "".
    """
    try:
        forge.runs.start(workflow, branch)
    except GitmlError as exc:
        return f"the gate looks at it within the hour: it could not be called ({_first(exc)})"
    return ""


def _first(exc: GitmlError) -> str:
    return exc.message.splitlines()[0][:200]
