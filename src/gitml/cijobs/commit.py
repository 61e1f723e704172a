"""``gitml ci commit``: what the jobs of one push gave becomes a report and, when it is time, one commit of the bot."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from gitml.cijobs import facts as cifacts
from gitml.cijobs import push as cipush
from gitml.cijobs import retrain as ciretrain
from gitml.cijobs.charts import Pictures
from gitml.cijobs.context import Push
from gitml.cijobs.deploying import NOTHING, deploys_only
from gitml.cijobs.fragments import put_git_files, read_fragments
from gitml.cijobs.handover import folder_of
from gitml.cijobs.outcomes import CommitWork, judge
from gitml.cijobs.push import TreeChange
from gitml.derivation.handover import merged
from gitml.dvc.repository import Dvc
from gitml.errors import GitmlError, OutsideError
from gitml.files import write_file
from gitml.forges.base import Forge, PullRequest
from gitml.forges.base import Job as RunJob
from gitml.git.commands import Git
from gitml.git.edit import bring, swap, tip_of
from gitml.pipelines.jobs import StageJob, jobs_of
from gitml.pipelines.lock import training
from gitml.registry import find, write_record
from gitml.reports import facts
from gitml.reports.exchange import to_json
from gitml.spec import load_application, load_pipeline
from gitml.spec.dvcfiles import LOCK_FILE, pipeline_folder
from gitml.spec.root import POLICY
from gitml.training.standing import is_ci
from gitml.training.train import TrainCall, Training

LABEL = "gitml:commit"


class CommitOutcome(StrEnum):
    """What became of the branch. ``failed``: a job failed or never came; ``refused``: the forge did not take it."""

    COMMITTED = "committed"
    NOTHING = "nothing to commit"
    REPORT_ONLY = "report only"
    MOVED = "moved"
    FAILED = "failed"
    STALE = "stale"
    REFUSED = "refused"


@dataclass(frozen=True)
class Committed:
    """``head`` is the bot's commit, empty when there is none. ``report`` is the file that publishing reads."""

    outcome: CommitOutcome
    reason: str
    head: str
    report: Path

    @property
    def exit_code(self) -> int:
        return {CommitOutcome.FAILED: 1, CommitOutcome.REFUSED: 4}.get(self.outcome, 0)


def cicommit(root: Path, push: Push, forge: Forge | None, call: TrainCall) -> Committed:
    """Merge the fragments, write ``report.json``, commit once if ``train.commit`` says so.

    Whenever it is killed, calling it again ends with one commit and one record: a commit of the bot on top of the
    pushed one is taken for its own.
    """
    application, git = load_application(root), Git(root)
    jobs = {job.name: job for job in jobs_of(application, load_pipeline(root))}
    folder = folder_of(root)
    fragments = {name: f for name, f in read_fragments(folder).items() if name in jobs}
    commit = git.resolve("HEAD") or ""
    if deploys_only(git, push):
        return _nothing(application.application, push, commit, folder)
    with training(root, wait=call.wait, tell=call.say, doing="merging what CI trained"), Dvc(root) as dvc:
        about = Training(root, application, git, dvc, call, "ci" if is_ci() else "local")
        work = CommitWork(about, push, forge, jobs, fragments, commit)
        return _commit(work, folder)


def _nothing(application: str, push: Push, commit: str, folder: Path) -> Committed:
    report = facts.Report(
        application,
        push.repository,
        push.branch,
        push.base or push.default_branch,
        commit,
        run_url=push.run_url,
        notes=(NOTHING,),
    )
    write_file(folder / "report.json", to_json(report).encode())
    return Committed(CommitOutcome.NOTHING, NOTHING, "", folder / "report.json")


def _commit(work: CommitWork, folder: Path) -> Committed:
    work.pull = _pull(work)
    onto = work.pull.base.branch if work.pull else (work.push.base or work.push.default_branch or "main")
    base = _base(work, onto)
    runs = merged(work.fragments.values(), work.commit, work.push.run_url)
    _resume(work)
    problem = _problem(work)
    put_git_files(work.root, work.about.dvc, work.fragments.values())
    judged = [judge(work, name, runs) for name, m in work.about.application.models.items() if m.origin == "pipeline"]
    failed = problem or next((f"{j.name}: {j.reason}" for j in judged if j.outcome is facts.Outcome.FAILED), "")
    head = ""
    try:
        if failed:
            outcome, reason = CommitOutcome.FAILED, failed
        elif work.push.on_default:
            outcome, reason = _on_default(work, judged)
        else:
            outcome, reason, head = _to_branch(work, judged, base)
    except GitmlError as exc:
        # What was trained is reported whatever the forge or its Git refuse.
        outcome, reason = CommitOutcome.REFUSED, " ".join(exc.message.split())
        work.notes.append(f"not committed: {reason}" + (f"; {exc.hint}" if exc.hint else ""))
    report = replace(_report(work, judged, base, onto, problem, folder), committed=head)
    write_file(folder / "report.json", to_json(report).encode())
    return Committed(outcome, reason, head, folder / "report.json")


def _resume(work: CommitWork) -> None:
    """Go on from what an earlier attempt of this run committed, if it got that far."""
    push = work.push
    if push.branch and push.repository and not push.on_default:
        there = tip_of(work.root, push.remote, push.branch)
        if there not in (None, work.commit):
            bring(work.about.git, push.remote, there or "")
            cipush.take_over(work.about.git, there, work.commit)


def _pull(work: CommitWork) -> PullRequest | None:
    """The open pull request of the branch, into the default branch if there are several."""
    if work.forge is None or not work.push.branch or work.push.on_default:
        return None
    pulls = work.forge.pulls.of_branch(work.push.branch)
    return next((p for p in pulls if p.base.branch == work.push.default_branch), pulls[0] if pulls else None)


def _base(work: CommitWork, onto: str) -> str | None:
    """What the push is compared with: where its branch left ``onto``; on the default branch the commit before."""
    git = work.about.git
    if work.push.on_default:
        return git.resolve("HEAD^")
    tip = git.resolve(f"refs/remotes/origin/{onto}") or git.resolve(f"refs/heads/{onto}")
    try:
        return git.text("merge-base", "HEAD", tip).strip() if tip else None
    except OutsideError:
        work.notes.append(f"there is no common history with {onto} in this clone: nothing is compared with it")
        return None


def _problem(work: CommitWork) -> str:
    """What kept the run from judging; empty when every job judged, also when it judged that a stage fails."""
    for name, job in work.jobs.items():
        fragment = work.fragments.get(name)
        if fragment is None and all(_went_well(work, need) for need in job.needs):
            return _never_came(work, job)
        if fragment is not None and fragment.status == "failed" and all(s.how != "failed" for s in fragment.stages):
            return f"job {name} could not do its work: {fragment.error}"
    return ""


def _went_well(work: CommitWork, name: str) -> bool:
    return name in work.fragments and work.fragments[name].status == "successful"


def _never_came(work: CommitWork, job: StageJob) -> str:
    """What the forge knows of a job that handed nothing over."""
    labels = ", ".join(job.labels)
    found = _on_forge(work, job.name)
    if found is not None and not found.runner and found.conclusion != "skipped":
        return f"no runner took job {job.name} in time: it asks for one with the labels {labels}"
    result = found.conclusion if found else work.push.needs.get(job.name, "")
    said = {"cancelled": "was cancelled, or ran longer than its limit", "skipped": "was skipped"}
    how = said.get(result, "ended without a result; its own log says why")
    return f"job {job.name} {how} (it asks for a runner with the labels {labels})"


def _on_forge(work: CommitWork, name: str) -> RunJob | None:
    if not work.push.run_url.startswith(f"{work.push.git_url}/"):  # a run of another CI system
        return None
    try:
        run = int(work.push.run_url.rpartition("/")[2])
        jobs = work.forge.runs.jobs(run) if work.forge else ()
    except (GitmlError, ValueError):
        return None
    return next((job for job in jobs if job.name == name), None)


def _to_branch(
    work: CommitWork, judged: Sequence[cifacts.JudgedModel], base: str | None
) -> tuple[CommitOutcome, str, str]:
    change = _change(work, judged, base)
    made = cipush.commit_on(work.about.git, work.commit, change)
    if made is None:
        return CommitOutcome.NOTHING, "everything is committed already", ""
    why_not = _why_not(work)
    if why_not:
        work.notes.append(why_not)
        return CommitOutcome.REPORT_ONLY, why_not, ""
    done = _push(work, made)
    application, gated = work.about.application.application, (work.root / POLICY).is_file()
    if ciretrain.is_retrain_branch(work.push.branch, application) and work.forge and done[2] and gated:
        gate = ciretrain.workflow_of(work.about.application, work.about.git.prefix, "gate")
        told = ciretrain.wake_gate(work.forge, gate, work.push.default_branch)
        work.notes += [told] if told else []
    return done


def _push(work: CommitWork, made: str) -> tuple[CommitOutcome, str, str]:
    branch = work.push.branch
    there = tip_of(work.root, work.push.remote, branch)
    if there == work.commit and swap(work.root, work.push.remote, branch, there, made):
        return CommitOutcome.COMMITTED, f"committed to {branch}", made
    there = tip_of(work.root, work.push.remote, branch)
    if there is None:
        return CommitOutcome.MOVED, f"the branch {branch} is gone", ""
    bring(work.about.git, work.push.remote, there)
    if cipush.made_for(work.about.git, there, work.commit):
        return CommitOutcome.COMMITTED, "an earlier attempt of this run committed it", there
    return CommitOutcome.MOVED, f"{branch} has moved to {there[:12]}: its own run takes over", ""


def _why_not(work: CommitWork) -> str:
    """Why the bot leaves the branch alone; empty when it may commit."""
    when, pull = work.about.application.train.commit, work.pull
    if work.push.fork:
        return "not committed: it comes from a fork"
    if not work.push.branch or not work.push.repository:
        return "not committed: this is no run of CI for a branch"
    own = ciretrain.is_retrain_branch(work.push.branch, work.about.application.application)
    if when == "push" or own:
        return ""
    if pull is None:
        return "not committed: there is no pull request for the branch yet"
    if when == "label":
        return "" if LABEL in pull.labels else f"not committed: the pull request does not have the label {LABEL}"
    return "not committed: the pull request is a draft" if pull.is_draft else ""


def _change(work: CommitWork, judged: Sequence[cifacts.JudgedModel], base: str | None) -> TreeChange:
    """The lock, the records, the outputs that live in Git, and what DVC ignores; older records of the bot go."""
    work.about.dvc.forget_gone()
    locks = (posixpath.join(pipeline_folder(stage), LOCK_FILE) for stage in ("", *work.job_of))
    add: dict[str, None] = {path: None for path in locks if (work.root / path).is_file() or path == LOCK_FILE}
    lines = []
    for found in judged:
        if found.outcome is facts.Outcome.NEW and found.record:
            path = f"models/{found.name}/versions/{found.record.version}.json"
            if not (work.root / path).exists():
                write_record(work.root, found.record)
            add[path] = None
            lines.append(f"{found.record.reference} trained")
    for stage in work.job_of:
        for path, cached in work.about.dvc.is_cached(stage).items():
            ignore = (Path(path).parent / ".gitignore").as_posix()
            if not cached and (work.root / path).is_file():
                add[path] = None
            if cached and (work.root / ignore).is_file():
                add[ignore] = None
    subject = ", ".join(lines) or "dvc.lock of recorded runs"
    message = f"{subject}\n\n{cipush.TRAILER}: {work.commit}\n"
    return TreeChange(message, tuple(add), tuple(_superseded(work, judged, base)))


def _superseded(work: CommitWork, judged: Sequence[cifacts.JudgedModel], base: str | None) -> list[str]:
    """Records on this branch, not merged yet, of another version than the one there is now.

    The bot's own, and one that this training replaces because what it names is lost.
    """
    gone = []
    for found in judged:
        kept = {e.path for e in work.about.git.at(base).entries(f"models/{found.name}/versions")} if base else set()
        for place in find(work.root, found.name) if found.record else ():
            path = place.path.relative_to(work.root).as_posix()
            if path in kept or found.record is None or place.version == found.record.version:
                continue
            brought = work.about.git.commit_that_added(path)
            if place.version == found.replaces or (brought and cipush.is_bots(work.about.git, brought)):
                place.path.unlink()
                gone.append(path)
    return gone


def _on_default(work: CommitWork, judged: Sequence[cifacts.JudgedModel]) -> tuple[CommitOutcome, str]:
    stale = [found.name for found in judged if found.outcome is facts.Outcome.REFUSED]
    if stale:
        said = ciretrain.ask(work.about, work.push, work.forge, stale)
        work.notes.append(said)
        return CommitOutcome.STALE, said
    return CommitOutcome.NOTHING, "recorded runs cover every stage"


def _report(
    work: CommitWork, judged: Sequence[cifacts.JudgedModel], base: str | None, onto: str, problem: str, folder: Path
) -> facts.Report:
    pictures = Pictures(folder, work.commit)
    about = work.about
    scene = cifacts.Scene(work.root, about.application, about.git, about.dvc, base, onto)
    known = {found.name: about.application.models[found.name] for found in judged if found.record}
    told = (cifacts.model_facts(scene, found) for found in judged)
    models = tuple(pictures.drawn(work.root, m, known[m.name], onto) if m.name in known else m for m in told)
    work.notes += pictures.notes
    unique = {run.stage: run.seconds for found in judged for run in found.runs if run.how in ("ran", "failed")}
    return facts.Report(
        application=about.application.application,
        repository=work.push.repository,
        branch=work.push.branch,
        base=onto if not work.push.on_default else "",
        commit=work.commit,
        run_url=work.push.run_url,
        seconds=sum(unique.values()),
        models=models,
        commits=cifacts.commits_of(scene),
        problem=problem,
        notes=tuple(dict.fromkeys(work.notes)),
    )
