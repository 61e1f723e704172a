"""``gitml ci publish``: a report becomes one comment, a job summary and a commit status."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from gitml.errors import GitmlError, UsageError
from gitml.forges.base import Forge, OnCommit, OnPull, Place, PullRequest, Relation, State, Status
from gitml.forges.job import EndedRun
from gitml.forges.settings import Settings
from gitml.forges.table import adapter, connect, job_of
from gitml.git.assets import BRANCH, Remote
from gitml.publishing.forkevent import fork_run, pull_of, without_words
from gitml.publishing.pictures import with_pictures
from gitml.publishing.posting import Publisher, post
from gitml.publishing.status import CONTEXT, description_of, state_of, why_missing
from gitml.publishing.sticky import Age, Posted, Stamp, Sticky
from gitml.publishing.whoami import login_of
from gitml.refs import NAME
from gitml.reports import markdown
from gitml.reports.exchange import MAX_BYTES, parse_report
from gitml.reports.facts import Report
from gitml.retries import Patience


@dataclass(frozen=True)
class PublishOrder:
    """What to publish, and how.

    ``application`` is the name under which a missing report is reported on; ``also`` are commits that get the status
    too: what the bot committed on top.
    """

    report: Path
    pictures: Path
    application: str
    publisher: str = "auto"
    also: tuple[str, ...] = ()
    from_fork: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Published:
    """``how`` is posted, updated, unchanged, superseded, or nothing for a dry run; ``by`` is gitml or cml."""

    place: str
    url: str
    how: str
    by: str
    state: State
    description: str
    text: str


@dataclass(frozen=True)
class World:
    """The environment of the job, how to say something, how patient to be."""

    env: Mapping[str, str]
    settings: Settings
    say: Callable[[str], None]
    patience: Patience = field(default_factory=Patience)
    cml_seconds: float = 90.0


def publish(order: PublishOrder, world: World) -> Published:
    """Post the report. The status is tried whatever becomes of the comment, and tells what went wrong.

    A CI run that left no report is reported on too. Raises the error that kept something from being posted, or the
    one of a report that cannot be read, when all else is done.
    """
    run = fork_run(world.env, world.settings.repository) if order.from_fork else None
    report, broken = _read(order, world)
    about = _settled(report, run, world, order.application)
    with connect(world.settings, patience=world.patience, note=world.say) as forge:
        done = _Work(order, world, forge, about, run).publish()
    if broken is not None:
        raise broken
    return done


def _read(order: PublishOrder, world: World) -> tuple[Report, GitmlError | None]:
    """The report, or one that says why there is none; with the error of one that cannot be read."""
    path = order.report
    if path.is_symlink() or not path.is_file():
        needs = world.env.get("GITML_NEEDS", "")
        if order.from_fork or needs:
            return Report(order.application, problem=why_missing(needs)), None
        raise UsageError(f"{path.name} is not there, or no file", "run `gitml ci commit` first, or name it: --report")
    try:
        with path.open("rb") as stream:
            report = parse_report(stream.read(MAX_BYTES + 1), path.name)
        if not NAME.fullmatch(report.application):
            raise UsageError(f"the application in {path.name} has a name that none may have")
    except GitmlError as exc:
        return Report(order.application, problem="the report that the run left cannot be read"), exc
    return report, None


def _settled(report: Report, run: EndedRun | None, world: World, application: str) -> Report:
    """The report about the commit that this job is about; of a fork's report the figures alone."""
    if run is not None:
        about = replace(report, application=application, repository=world.settings.repository)
        return without_words(about, run, adapter(world.settings.forge).run_page(world.settings.home, run.id))
    job = job_of(world.env)
    commit = report.commit or job.commit
    if not commit:
        raise UsageError("neither the report nor the job names a commit", "set GITHUB_SHA")
    return replace(report, commit=commit, branch=report.branch or job.branch)


def _run_url(world: World) -> str:
    job = job_of(world.env)
    page = adapter(world.settings.forge).run_page(world.settings.home, job.run) if job.run else ""
    return job.run_url or page


@dataclass
class _Work:
    order: PublishOrder
    world: World
    forge: Forge
    report: Report
    run: EndedRun | None
    trouble: GitmlError | None = None

    def publish(self) -> Published:
        posted, by = Posted("nothing", ""), "gitml"
        text, place = "", None
        try:
            place = self._place()
            if place is not None:
                text = self._text()
                posted, by = self._comment(place, text)
            else:
                posted = Posted("superseded", "")
        except GitmlError as exc:
            self.trouble = exc
        if not self.order.dry_run:
            self._summarise(text or markdown.render(self.report, self._addresses()))
        status = self._status(posted)
        if self.trouble is not None:
            raise self.trouble
        return Published(str(place or ""), posted.url, posted.how, by, status.state, status.description, text)

    def _place(self) -> Place | None:
        """The pull request of the branch, else the commit. None when it is about something newer by now."""
        if self.run is not None:
            pull = pull_of(self.forge, self.run)
            return OnPull(pull.number) if pull else None
        pulls = self._pulls
        if not pulls:
            return OnCommit(self.report.commit)
        if self._is_rewritten(pulls[0]):
            return None
        return OnPull(pulls[0].number)

    @cached_property
    def _pulls(self) -> Sequence[PullRequest]:
        """Open ones of the branch, that into the report's base first."""
        found = self.forge.pulls.of_branch(self.report.branch) if self.report.branch else ()
        return sorted(found, key=lambda p: (p.base.branch != self.report.base, p.number))

    @property
    def _commits(self) -> tuple[str, ...]:
        """What was pushed, and what the bot committed on top: with a job's token that commit gets no run of its own."""
        committed = self.report.committed if self.run is None else ""
        return tuple(dict.fromkeys(c for c in (self.report.commit, committed, *self.order.also) if c))

    def _is_rewritten(self, pull: PullRequest) -> bool:
        """Whether the branch was rewritten, so that what ran is no part of the pull request any more."""
        if pull.head.commit in self._commits:
            return False
        found = self.forge.commits.compare(self.report.commit, pull.head.commit)
        return found in (None, Relation.DIVERGED)

    def _text(self) -> str:
        report = self.report
        if not self.order.dry_run and self.run is None:
            remote = Remote(f"{self.world.settings.home}.git", self.world.settings.token)
            self.report = report = with_pictures(report, self.order.pictures, remote, self.world.say)
        return markdown.render(report, self._addresses())

    def _addresses(self) -> markdown.ReportPlace:
        home = self.world.settings.pages
        whole = self.report.run_url or _run_url(self.world)
        return markdown.ReportPlace(home, f"{home}/raw/{BRANCH}", whole, trusted=self.run is None)

    def _comment(self, place: Place, text: str) -> tuple[Posted, str]:
        if self.order.dry_run:
            return Posted("nothing", ""), "gitml"
        sticky = Sticky(f"{self.report.application}/train", text, self._stamp(), self._me())
        world = self.world
        path, seconds = world.env.get("PATH"), world.cml_seconds
        publisher = Publisher(self.order.publisher, world.settings, world.say, path, seconds)
        return post(publisher, self.forge.comments, place, sticky, Age(self.forge.commits, self._tip(), {}))

    def _stamp(self) -> Stamp:
        if self.run is not None:
            return Stamp(self.report.commit, self.run.id, self.run.attempt)
        job = job_of(self.world.env)
        return Stamp(self.report.commit, job.run, job.attempt)

    def _tip(self) -> str:
        if self._pulls:
            return self._pulls[0].head.commit
        branch = self.forge.commits.branch(self.report.branch) if self.report.branch else None
        return branch.commit if branch else self.report.commit

    def _me(self) -> str:
        status = Status(CONTEXT, State.PENDING, "the report is being posted", _run_url(self.world))
        return login_of(self.forge, self.report.commit, status, self.world.say)

    def _summarise(self, text: str) -> None:
        path = job_of(self.world.env).summary
        if path is None:
            return
        try:
            with path.open("a", encoding="utf-8") as stream:
                stream.write(text.rstrip("\n") + "\n")
        except OSError as exc:
            self.world.say(f"the job summary could not be written: {exc.strerror}")

    def _status(self, posted: Posted) -> Status:
        words = description_of(self.report)
        if self.run is not None:
            words = f"a fork's run says: {words}"
        if self.trouble is not None:
            words = f"{words} (the report could not be posted)"
        url = posted.url or self.report.run_url or _run_url(self.world)
        status = Status(CONTEXT, state_of(self.report), words, url)
        for commit in () if self.order.dry_run else self._commits:
            try:
                self.forge.commits.post(commit, status)
            except GitmlError as exc:
                self.world.say(f"the status of {commit[:12]} could not be posted: {exc.message}")
                self.trouble = self.trouble or exc
        return status
