"""GitLab beyond what every forge does: what it says otherwise, what a tier lacks, what its own client makes of it."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import gitlab
import pytest
from gitlab.base import RESTManager
from gitlab.v4 import objects

from forges.chaos_kit import chaos_before
from forges.gitlab_home import GitlabHome, gitlab_home
from forges.gitlab_standin import OPERATIONS, Standin
from forges.homes import QUICK, memory_home, pull, tip
from gitml.cijobs.publish import PublishOrder, World, publish
from gitml.errors import FailedError, UsageError
from gitml.forges import gitlab as adapter
from gitml.forges.base import OnCommit, OnPull, State, Status
from gitml.forges.governed import NewDeployment, Protection, Reviewers
from gitml.forges.job import JobCause
from gitml.forges.settings import Settings
from gitml.forges.table import connect, job_of, settings_from
from gitml.http import HttpError
from gitml.reports.exchange import to_json
from reports.test_exchange import SMALL


@pytest.fixture
def home(tmp_path: Path, standin: Standin) -> GitlabHome:
    made = gitlab_home(tmp_path / "forge", standin, premium=False)
    made.write("ada", "README.md", "# hello\n")
    return made


def test_an_approval_is_of_the_head_that_there_was(home: GitlabHome) -> None:
    made = pull(home)
    number, first = made.number, made.head.commit
    home.review("olga", number)
    second = home.write("ada", "more.txt", "1", "feature")
    home.review("rita", number, "CHANGES_REQUESTED")
    with home.as_() as hub:
        olga, rita = hub.reviews.list(number)
        assert (olga.person, olga.state, olga.commit) == (home.person("olga"), "APPROVED", first)
        assert (rita.person, rita.state, rita.commit) == (home.person("rita"), "CHANGES_REQUESTED", second)
        assert olga.url.endswith(f"/-/merge_requests/{number}#note_{olga.id}")
        home.dismiss("ada", number, olga.id)
        gone = hub.reviews.list(number)[0]
        assert (gone.state, gone.was, gone.dismissed > olga.time) == ("DISMISSED", "APPROVED", True)


def test_an_approval_in_the_moment_of_a_push_is_of_the_commit_before(tmp_path: Path, standin: Standin) -> None:
    home = gitlab_home(tmp_path / "forge", standin)
    home.write("ada", "README.md", "# hello\n")
    made = pull(home)
    home.forge._host.clock = lambda: datetime(2026, 12, 1, tzinfo=UTC)
    home.write("ada", "more.txt", "1", "feature")
    home.review("olga", made.number)
    with home.as_() as hub:
        assert [r.commit for r in hub.reviews.list(made.number)] == [made.head.commit]


def test_a_note_that_says_approved_approves_nothing(home: GitlabHome) -> None:
    number = pull(home).number
    with home.as_("olga") as olga:
        olga.comments.add(OnPull(number), "approved this merge request")
        assert olga.reviews.list(number) == ()


def test_free_cannot_ask_for_approvals_and_says_so(home: GitlabHome) -> None:
    wanted = Protection({"gitml/gate": None}, pull_request=True, approvals=1, dismiss_stale=True, admins=True)
    with home.as_() as hub:
        there = hub.guards.protect("main", wanted)
        assert (there.pull_request, there.admins, there.may_rewrite, there.approvals) == (True, True, False, 0)
        assert set(there.unable) == {"checks", "approvals", "code_owners", "dismiss_stale", "last_push"}
        assert hub.guards.protect("main", Protection()) == hub.guards.protection("main") == there
        with pytest.raises((AssertionError, HttpError)):
            home.write("ada", "x", "1")
        made = pull(home)
        assert hub.merges.readiness(made.number).state == "blocked", "no pipeline, no status"
        hub.commits.post(made.head.commit, Status("gitml/gate", State.SUCCESS))
        hub.merges.merge(made.number, made.head.commit)


def test_premium_is_found_out_and_used(tmp_path: Path, standin: Standin) -> None:
    home = gitlab_home(tmp_path / "forge", standin)
    home.write("ada", "README.md", "# hello\n")
    every = {"approvals": 1, "code_owners": True, "dismiss_stale": True, "last_push": True}
    with home.as_() as hub:
        there = hub.guards.protect("main", Protection(pull_request=True, **every))  # type: ignore[arg-type]
        assert {name: getattr(there, name) for name in every} == every
        assert set(there.unable) == {"checks"}
        made = pull(home)
        with pytest.raises(FailedError, match="cannot be merged"):
            hub.merges.merge(made.number, made.head.commit)


def test_a_branch_that_is_only_added_to(home: GitlabHome) -> None:
    home.move("ada", "gitml-ledger", tip(home))
    world = home.server.worlds[home.repository.lower()]
    with home.as_() as hub:
        hub.guards.protect("gitml-ledger", Protection(may_rewrite=True))
        there = hub.guards.protect("gitml-ledger", Protection())
        assert (there.may_rewrite, there.pull_request) == (False, False)
        assert ("PATCH", "/projects/{id}/protected_branches/{name}") in world.seen
        assert [kind for kind, _ in hub.commits.rules("gitml-ledger")] == ["deletion", "non_fast_forward"]


def test_variables_of_an_environment_reach_protected_branches_alone(home: GitlabHome) -> None:
    world = home.server.worlds[home.repository.lower()]
    with home.as_() as hub:
        assert hub.guards.environment("gitml") is None
        assert hub.guards.set_environment("gitml", ["main"]).branches == ("main",)
        key = {"key": "GITML_SIGNING_KEY", "environment_scope": "gitml", "protected": True, "value": "x"}
        world.variables = [key, {"key": "OTHER", "environment_scope": "*", "protected": False}]
        assert (hub.guards.secrets("gitml"), hub.guards.secrets("")) == (("GITML_SIGNING_KEY",), ("OTHER",))
        world.variables[0] = key | {"protected": False}
        assert hub.guards.set_environment("gitml", ["main"]).branches is None


def test_free_takes_one_reviewer_and_the_others_are_named(home: GitlabHome) -> None:
    number = pull(home).number
    with home.as_() as hub:
        asked = hub.reviews.ask(number, Reviewers(("olga", "rita"), ("ada/risk",)))
        assert (asked.done.people, set(asked.skipped)) == (("olga",), {"rita", "ada/risk"})


def test_a_status_that_waits_is_told_to_wait_again(home: GitlabHome) -> None:
    head = tip(home)
    with home.as_() as hub:
        first = hub.commits.post(head, Status("gitml/train", State.PENDING, "one"))
        assert hub.commits.post(head, Status("gitml/train", State.PENDING, "two")) == first
        assert hub.commits.post(head, Status("gitml/train", State.SUCCESS)).state is State.SUCCESS
        assert hub.commits.post(head, Status("gitml/train", State.PENDING)).state is State.PENDING


def test_what_is_known_of_a_commit_by_a_payload_that_nobody_else_can_change(home: GitlabHome) -> None:
    with home.as_() as hub, home.as_("olga") as olga:
        made = hub.deployments.create(NewDeployment(tip(home), "staging", "canary:delay", payload={"-->": "--!"}))
        forged = '<!-- gitml:deployment 1 canary:delay {"champion": "other"} -->'
        olga.comments.add(OnCommit(tip(home)), forged)
        assert hub.deployments.list("staging", "canary:delay") == (made,)
        assert made.payload == {"-->": "--!"}


def _run(home: GitlabHome, *names: str) -> int:
    """A pipeline whose jobs left a file."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("fragment.json", "{}")
    left = {"archive": packed.getvalue(), "artifacts_file": {"filename": "artifacts.zip", "size": 2}}
    jobs = [
        {"id": 70 + n, "name": name, "status": "success", "tag_list": ["gpu"], **left} for n, name in enumerate(names)
    ]
    about = {"ref": "main", "sha": tip(home), "status": "success", "source": "push", "name": "gitml train"}
    run = {"id": 7, "iid": 1, **about, "user": {"id": 1, "username": "olga"}, "jobs": jobs}
    home.server.worlds[home.repository.lower()].pipelines[7] = run
    return 7


def test_pipelines_are_runs_and_archives_of_jobs_are_artifacts(home: GitlabHome) -> None:
    run = _run(home, "train-cpu", "commit")
    with home.as_() as hub:
        (found,) = hub.runs.of_commit(tip(home))
        assert (found.id, found.workflow, found.event) == (run, ".gitlab/ci/gitml-train.yml", "push")
        assert (found.conclusion, found.is_over, hub.runs.get(run).by) == ("success", True, "olga")
        job = hub.runs.jobs(run)[0]
        assert (job.name, job.status, job.labels) == ("train-cpu", "completed", ("gpu",))
        assert [a.name for a in hub.runs.artifacts(run)] == ["fragment-train-cpu", "commit"]
        assert zipfile.ZipFile(io.BytesIO(hub.runs.download(70))).namelist() == ["fragment.json"]
        assert hub.runs.rerun(71)
        home.server.worlds[home.repository.lower()].pipelines[7]["variables"] = [{"key": "PYTHONPATH", "value": "x"}]
        assert hub.runs.of_commit(tip(home))[0].event == "push with variables", "nobody vouches for it"


def test_what_runs_on_main_by_hand_is_a_schedule_that_is_played(home: GitlabHome) -> None:
    world = home.server.worlds[home.repository.lower()]
    world.schedules.append({"id": 1, "description": "gitml gate", "ref": "refs/heads/main", "cron": "17 * * * *"})
    with home.as_() as hub:
        hub.runs.start("gitml-gate.yml", "main")
        with pytest.raises(HttpError, match="no schedule 'gitml main'"):
            hub.runs.start("gitml-main.yml", "main")
    (made,) = world.pipelines.values()
    assert (made["name"], made["source"], made["sha"]) == ("gitml gate", "schedule", tip(home))


@pytest.mark.parametrize("fault", ["dropped", "lost"])
def test_a_note_and_a_merge_whose_answer_is_lost_are_found_again(home: GitlabHome, fault: str) -> None:
    made, settings = pull(home), home.settings()
    with chaos_before(home.server.url) as chaos:
        there = Settings(f"{chaos.url}/api/v4", chaos.url, settings.repository, settings.token, forge="gitlab")
        with connect(there, patience=QUICK) as hub:
            chaos.plan(fault, "POST .*/notes")
            note = hub.comments.add(OnPull(made.number), "once")
            assert hub.comments.list(OnPull(made.number)) == (note,)
            chaos.plan(fault, "PUT .*/merge")
            assert hub.merges.merge(made.number, made.head.commit) == tip(home)
            assert chaos.count("PUT .*/merge") == 1


def test_what_is_said_in_a_job(tmp_path: Path) -> None:
    env = {
        "GITLAB_CI": "true",
        "CI_SERVER_URL": "https://git.acme.example",
        "CI_API_V4_URL": "https://git.acme.example/api/v4",
        "CI_PROJECT_PATH": "acme/risk/flights",
        "CI_DEFAULT_BRANCH": "main",
        "CI_COMMIT_BRANCH": "topic",
        "CI_COMMIT_SHA": "a" * 40,
        "CI_PIPELINE_ID": "12",
        "CI_PIPELINE_SOURCE": "push",
        "CI_JOB_TOKEN": "job",
    }
    found, job = settings_from(env), job_of(env)
    assert (found.forge, found.api, found.repository) == ("gitlab", env["CI_API_V4_URL"], "acme/risk/flights")
    assert (found.token, job.token) == ("", "job"), "a job's own token is of use in Git alone"
    assert (job.cause, job.branch, job.run, job.default_branch) == (JobCause.PUSH, "topic", 12, "main")
    told = {"object_kind": "merge_request", "object_attributes": {"iid": 3, "action": "open", "target_branch": "main"}}
    payload = tmp_path / "payload"
    payload.write_text(json.dumps(told))
    triggered = {**env, "CI_PIPELINE_SOURCE": "trigger", "CI_COMMIT_BRANCH": "main", "TRIGGER_PAYLOAD": str(payload)}
    job = job_of(triggered)
    assert (job.cause, job.pull and job.pull.number) == (JobCause.PULL_TRUSTED, 3)
    for text in (
        "",
        "[1]",
        '{"object_kind": "merge_request", "object_attributes": {"iid": -1}}',
        '{"object_kind": "push"}',
    ):
        payload.write_text(text)
        assert (job_of(triggered).cause, job_of(triggered).pull) == (JobCause.OTHER, None)


@pytest.mark.parametrize(
    "remote", ["", "https://gitlab.com/flights", "https://gitlab.com/a/..", "https://gitlab.com/a//b"]
)
def test_no_project_is_no_address(remote: str) -> None:
    with pytest.raises(UsageError, match="no project of GitLab"):
        adapter.settings({}, remote)


def test_remotes_that_tell_a_gitlab() -> None:
    for remote in ("git@gitlab.com:acme/risk/flights.git", "https://gitlab.acme.example/acme/risk/flights.git"):
        assert settings_from({}, remote).repository == "acme/risk/flights"
    assert settings_from({}, "https://github.com/acme/flights").forge == "github"


def test_every_operation_is_one_that_python_gitlab_knows() -> None:
    managers = [m for m in vars(objects).values() if isinstance(m, type) and issubclass(m, RESTManager)]
    known = {re.sub(r"{[^}]*}", "{}", str(m._path).rstrip("/")) for m in managers if getattr(m, "_path", None)}
    # What it does with one thing is a path of its own below that of the manager.
    acts = ("merge", "diffs", "commits", "reviewers", "merge_requests", "merge_base", "artifacts", "retry", "play")
    paths = {re.sub(r"{[^}]*}", "{}", path) for _, path in OPERATIONS}
    plain = {re.sub(rf"/({'|'.join(acts)})$", "", path) for path in paths}
    unknown = {p for p in plain if p not in known and p.removesuffix("/{}") not in known}
    assert unknown == {"/projects/{}/repository", "/projects/{}/pipeline", "/projects/{}/statuses/{}"}


def test_python_gitlab_goes_the_whole_way(home: GitlabHome) -> None:
    made = pull(home, draft=True)
    token = home.server.token_of(home.forge, "ada")
    with gitlab.Gitlab(home.server.url, private_token=token) as client:
        project = client.projects.get(home.repository)
        request = project.mergerequests.get(made.number)
        assert (request.draft, request.title, request.sha) == (True, "Draft: About feature", made.head.commit)
        request.title = "About feature"
        request.save()
        note = request.notes.create({"body": "hello"})
        note.body = "bye"
        note.save()
        project.commits.get(made.head.commit).statuses.create({"state": "success", "name": "ci"})
        home.review("olga", made.number)
        assert [one["user"]["username"] for one in request.approvals.get().approved_by] == ["olga"]
        with pytest.raises(gitlab.GitlabMRClosedError):
            request.merge(sha="f" * 40)
        request.merge(sha=made.head.commit)
        assert project.mergerequests.get(made.number).state == "merged"
    with home.as_() as hub:
        assert [c.body for c in hub.comments.list(OnPull(made.number))] == ["bye"]
        assert hub.merges.merged(made.number) is not None


def test_the_same_report_is_the_same_note_but_for_links(home: GitlabHome, tmp_path: Path) -> None:
    other = memory_home(tmp_path / "other")
    commits = {}
    for one in (home, other):
        if one is other:
            one.write("ada", "README.md", "# hello\n")
        commits[one.settings().forge] = pull(one).head.commit
    said: dict[str, str] = {}
    links: list[str] = []
    for one in (home, other):
        settings = one.settings()
        commit = commits[settings.forge]
        report = replace(SMALL, branch="feature", base="main", commit=commit)
        place = tmp_path / f"{settings.forge}.json"
        place.write_text(to_json(report))
        world = World({"PATH": ""}, settings, lambda _: None, QUICK)
        publish(PublishOrder(place, tmp_path / "none", report.application, "gitml"), world)
        with one.as_() as hub:
            (note,) = hub.comments.list(OnPull(1))
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", note.body)
        said[settings.forge] = plain.replace(commit, "COMMIT").replace(commit[:8], "COMM")
        links = links or re.findall(r"\]\(([^)]*)\)", note.body)
    assert said["gitlab"] == said["memory"]
    assert f"{home.settings().home}/-/commit/{'a' * 40}" in links
    assert home.settings().page("pull/1").endswith("/-/merge_requests/1")
