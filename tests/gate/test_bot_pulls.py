"""The bot's own pull request from its opening to a promotion of what it trained, on a forge in memory."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from conftest import git
from gate.test_derived import GITML, entry, files_of, record
from gitml.cijobs.derived import derived
from gitml.cijobs.due import Due
from gitml.cijobs.retrain import wake_gate
from gitml.cijobs.trained import trained
from gitml.control.place import Place
from gitml.control.signing import Signer, heard
from gitml.derivation import proposal, retrain
from gitml.derivation.claim import Claim
from gitml.dvc.lockentries import Entry
from gitml.evidence.keys import SigningKey, generate, signing_key
from gitml.forges.base import Job, NewPull, PullRequest, Run, State
from gitml.forges.memory import MemoryForge
from gitml.gate.ground import ground
from gitml.gate.lineage import lineage_of
from gitml.gates.facts import Person, Unknown
from gitml.git.commands import Git
from gitml.git.edit import Who, commit_file
from gitml.promotion.gate import GateOrder, GateOutcome, gate
from gitml.registry.record import Record

pytestmark = pytest.mark.slow

BOT, JOBS = "gitml-bot[bot]", "github-actions[bot]"
BOT_WHO = Who("gitml-bot", "gitml-bot@noreply.invalid")
BRANCH, WORKFLOW = "gitml/retrain-flights", ".github/workflows/gitml-train.yml"
PURPOSES = ["trained", "evaluated", "gate", "approved", "promoted"]


@dataclass
class Town:
    forge: MemoryForge
    root: Path
    key: SigningKey

    @property
    def git(self) -> Git:
        return Git(self.root)

    @property
    def main(self) -> str:
        git(self.root, "fetch", "-q", str(self.forge.remote), "main")
        return git(self.root, "rev-parse", "FETCH_HEAD").strip()

    def place(self) -> Place:
        return Place(self.root, self.forge.as_(JOBS, is_job=True), self.forge.settings(JOBS, is_job=True))

    def push(self, commit: str, login: str = BOT, branch: str = BRANCH) -> str:
        git(self.root, "push", "-q", "--force", str(self.forge.remote), f"{commit}:refs/heads/{branch}")
        self.forge.notice(login)
        return commit

    def opened(self, login: str = BOT, branch: str = BRANCH) -> PullRequest:
        return self.forge.as_(login).pulls.open(NewPull("Retrain delay", branch, "main"))

    def ran(self, commit: str, stage: Entry, version: Record, *, over: bool = True, **about_it: str) -> None:
        """The training of a commit went well, and handed over what the record says. Else its job `commit` is at it."""
        outputs = {path: file.model_dump(exclude_none=True) for path, file in version.files.items()}
        stages = [{"stage": "train", "how": "ran", "entry": stage.to_dict(), "outputs": outputs}]
        fragment = {"job": "train-cpu", "commit": commit, "status": "successful", "stages": stages}
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("fragment-train-cpu.json", json.dumps(fragment))
        about = (
            WORKFLOW,
            BRANCH,
            commit,
            self.forge.repository,
            *(("completed", "success") if over else ("in_progress", "")),
            "http://ci/7",
        )
        run = replace(Run(0, 1, "workflow_dispatch", *about, by=BOT), **about_it)  # type: ignore[arg-type]
        jobs = [Job(0, "commit", "in_progress", "", (), "runner-1", "2026-01-01T00:00:00Z", "http://ci/7/1")]
        self.forge.as_("ada").acts.ran(run, jobs, artifacts={"fragment-train-cpu": stream.getvalue()})

    def gate(self, number: int) -> GateOutcome:
        (outcome,) = gate(self.place(), GateOrder((number,), official=True, key=self.key, run="http://ci/8"))
        return outcome

    def derived(self) -> dict[str, dict[str, object]]:
        """What the ledger calls derived: commit → details."""
        place = self.place()
        found = heard(place, place.newest().policy()).all("derived", result="passed")
        return {s.binding.head: dict(s.details) for s in found}

    def signed(self, *dues: Due) -> None:
        place = self.place()
        with ground(place) as known:
            for due in dues:
                Signer(place, known.policy, self.key).sign(due.statements, parents=due.parents)


@pytest.fixture
def town(tmp_path: Path) -> Town:
    secret, public = generate()
    forge = MemoryForge.create(tmp_path / "forge", "ada/flights")
    for login in ("olga", BOT, JOBS):
        forge.account(login, "write")
    key = {"public": public, "owner": "CI", "purposes": PURPOSES, "from": "2026-01-01"}
    policy = {
        "roles": {"operations": {"people": ["olga"]}},
        "environments": {"staging": {"approvals": {"operations": 1}}},
        "keys": {"ci": key},
    }
    files = {"gitml.yaml": GITML, "policy.yaml": yaml.safe_dump(policy), "train.py": "1\n", WORKFLOW: "on: push\n"}
    forge.as_("ada").acts.write({**files, ".gitignore": "*.log\n"})
    root = tmp_path / "here"
    git(tmp_path, "clone", "-q", str(forge.remote), str(root))
    return Town(forge, root, signing_key(secret))


def asked(town: Town, onto: str | None = None) -> str:
    """The commit by which the bot asks for a training."""
    claim = Claim(retrain.NAME, town.main)
    return town.push(proposal.commit_of(town.git, claim, (), "Train what main has", BOT_WHO, onto=onto))


def committed(town: Town, parent: str, stage: Entry, version: Record, branch: str = BRANCH, **more: str) -> str:
    """The bot's commit of a training."""
    made = parent
    files = {**files_of(version, stage), **more}
    for path, text in files.items():
        made = commit_file(town.git, made, path, text.encode(), "x", BOT_WHO)
    tree = town.git.repository.tree_of(made) or ""
    message = f"{version.reference} trained\n\nGitml-Trained: {parent}\n"
    made_at = f"{BOT_WHO} 1700000000 +0000"
    text = f"tree {tree}\nparent {parent}\nauthor {made_at}\ncommitter {made_at}\n\n{message}"
    return town.push(town.git.repository.store("commit", text.encode()), branch=branch)


def people(town: Town, version: Record) -> list[Person]:
    place = town.place()
    main = place.newest(whole=True)
    found = lineage_of(place, main, heard(place, main.policy()))(version, None, "staging")
    assert not isinstance(found, Unknown), found
    return [person for commit in found for person in commit.people]


def test_a_retraining_waits_for_its_run_and_is_then_nobody_s_work(town: Town) -> None:
    """Main moves on, the bot takes it in, and what comes out can be approved by the roles."""
    first = asked(town)
    number = town.opened().number
    stage = entry()
    version = record(first, stage)
    made = committed(town, first, stage, version)
    outcome = town.gate(number)
    assert outcome.state is State.PENDING
    assert "no run of" in outcome.line
    town.ran(first, stage, version, over=False)
    assert town.gate(number).state is State.SUCCESS
    assert town.derived()[made]["versions"] == [version.version]
    town.forge.as_("ada").acts.write({"notes.md": "main moves\n"})
    again = asked(town, onto=made)
    newer = replace_commit(version, again)
    last = committed(town, again, stage, newer)
    town.ran(again, stage, newer)
    outcome = town.gate(number)
    assert outcome.state is State.SUCCESS, outcome.line
    assert {first, made, again, last} == set(town.derived())
    assert town.derived()[again]["kind"] == "retrain"
    town.forge.as_("olga").merges.merge(number, last, method="squash")
    unknown = [person for person in people(town, newer) if not person.is_known]
    assert unknown == []


def better(town: Town) -> str:
    """Ada's code, on a branch of hers."""
    acts = town.forge.as_("ada").acts
    acts.branch("better")
    commit = acts.write({"train.py": "2\n"}, "better")
    git(town.root, "fetch", "-q", str(town.forge.remote), "better")
    return commit


def replace_commit(version: Record, commit: str) -> Record:
    return Record.model_validate({**version.model_dump(), "commit": commit})


def test_the_bot_s_commit_calls_the_gate_or_says_why_it_cannot(town: Town) -> None:
    """A job's token starts nothing by pushing, and nobody waits an hour for what the bot itself asked for."""
    job = town.forge.as_(JOBS, is_job=True)
    assert "within the hour" in wake_gate(job, "gitml-gate.yml", "main")
    town.forge.as_("ada").acts.write({".github/workflows/gitml-gate.yml": "on: workflow_dispatch\n"})
    assert wake_gate(job, "gitml-gate.yml", "main") == ""
    (run,) = job.runs.of_commit(town.main)
    assert (run.workflow, run.branch, run.by) == (".github/workflows/gitml-gate.yml", "main", JOBS)


def test_the_forge_vouches_for_no_run_of_a_fork_nor_for_another_workflow_or_event(town: Town) -> None:
    """Whatever they handed over at this commit, under whatever names: the repository's own training alone counts."""
    first, stage = asked(town), entry()
    number = town.opened().number
    version = record(first, stage)
    committed(town, first, stage, version)
    for attack in (
        {"repository": "eve/flights"},
        {"repository": "eve/flights", "event": "pull_request"},
        {"repository": ""},
        {"event": "pull_request"},
        {"event": "pull_request_target"},
        {"event": "workflow_run"},
        {"workflow": ".github/workflows/evil.yml"},
        {"workflow": f".github/workflows/evil.yml@{WORKFLOW}"},
        {"workflow": f"{WORKFLOW}.yml"},
        {"conclusion": "failure"},
        {"conclusion": "cancelled"},
        {"commit": "f" * 40},
    ):
        town.ran(attack.pop("commit", first), stage, version, **attack)
    outcome = town.gate(number)
    assert (outcome.state, "no run of" in outcome.line) == (State.PENDING, True), outcome.line
    assert town.derived().keys() == {first}
    town.ran(first, stage, version, repository="Ada/Flights")
    assert town.gate(number).state is State.SUCCESS, "names of repositories know no capital letters"


def test_what_a_run_did_not_hand_over_shuts_the_bot_s_pull_request(town: Town) -> None:
    first, stage = asked(town), entry()
    number = town.opened().number
    version = record(first, stage)
    committed(town, first, stage, version, **{"train.py": "import evil\n"})
    town.ran(first, stage, version)
    outcome = town.gate(number)
    assert outcome.state is State.FAILURE
    assert "train.py" in outcome.line
    assert town.derived().keys() == {first}


def test_a_training_that_was_merged_before_the_gate_saw_it_is_made_up_for(town: Town) -> None:
    """Evidence `trained` says what the run handed over, also when its artifacts are gone."""
    ada = better(town)
    stage = entry()
    version = record(ada, stage)
    made = committed(town, ada, stage, version, "better")
    number = town.opened("ada", "better").number
    town.ran(ada, stage, version)
    town.forge.as_("olga").merges.merge(number, made, method="merge")
    assert [p.email for p in people(town, version) if not p.is_known] != []
    place = town.place()
    with ground(place) as known:
        town.signed(*trained(place, known, ""))
    with ground(place) as known:
        (signed,) = known.heard.all("trained")  # type: ignore[union-attr]
        assert signed.binding.by == BOT
        for run in town.forge.as_("ada").runs.of_commit(ada):
            town.forge.as_("ada").acts.expire(run.id)
        town.signed(*derived(place, known, ""))
    assert town.derived()[made]["versions"] == [version.version]
    with ground(place) as known:
        assert list(derived(place, known, "")) == []
    assert [p.email for p in people(town, version) if not p.is_known] == []


def test_a_person_s_training_does_not_wait_and_is_signed_when_the_run_is_known(town: Town) -> None:
    ada = better(town)
    number = town.opened("ada", "better").number
    stage = entry()
    version = record(ada, stage)
    made = committed(town, ada, stage, version, "better")
    assert town.gate(number).state is State.SUCCESS
    assert town.derived() == {}
    town.ran(ada, stage, version)
    assert town.gate(number).state is State.SUCCESS
    assert set(town.derived()) == {made}
