"""A town under attack: what its gate, `gitml merge`, the forge's own rules and an agent make of a pull request.

The scene is built once for a module, its sandbox stopped, and copied for each test: an attack that gets through spoils
no other. Everything is real: Git, HTTP, the forge's database, signatures.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from conftest import packed
from gitml.agent import judge as agentjudge
from gitml.agent.judge import Go, Keep
from gitml.agent.source import Mirror
from gitml.agent.trust import ChangeEvents, Grounds, brought_up
from gitml.cijobs.record import RecordOrder as Recording
from gitml.cijobs.record import record
from gitml.errors import GitmlError
from gitml.forges.base import State
from gitml.forges.governed import Protection
from gitml.git.orphan import Remote
from gitml.project.doctorpolicy import wanted
from gitml.promotion.gate import GateOutcome
from gitml.promotion.merge import MergeOrder as Merging
from gitml.promotion.merge import MergeResult, merge
from gitml.registry.record import Record
from gitml.spec import Deployment, render_deployment
from gitml_sandbox.forge import emails, repos, users
from gitml_sandbox.server.serve import Options, serving
from promotion.gating import RUN, Gated, gated
from promotion.promoting import NOW, POLICY, Town, pin, write
from promotion.promoting import record as record_of
from sandbox.forge_kit import Kit, git, people
from sandbox.rest_kit import close_clients

STAGING, PRODUCTION = "models/delay/staging.yaml", "models/delay/production.yaml"
GATE = "gitml/gate"
GOOD = json.dumps({"auc": {"value": 0.7, "low": 0.69, "high": 0.71}})
# Everybody may speak for operations, so that nobody is refused for want of a role; Rita speaks for risk as well.
ROLES = {"operations": {"people": ["ada", "olga", "rita"]}, "risk": {"people": ["rita"]}}
RULES = {
    "roles": ROLES,
    "environments": {
        "staging": {
            "approvals": {"operations": 1},
            "gates": {"metrics": {"auc": {"at_least": 0.65}}, "evidence": {"trained": "90d", "evaluated": "90d"}},
        },
        "production": {"approvals": {"operations": 1, "risk": 1}},
    },
}
assert set(RULES) == set(POLICY)


@dataclass
class Clock:
    """The time of the forge, of its jobs and of agents."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Scene:
    """``first`` runs in staging, honestly promoted and recorded; ``version`` has evidence and waits to follow it."""

    g: Gated
    clock: Clock
    first: Record
    version: Record
    folder: Path

    @property
    def town(self) -> Town:
        return self.g.town

    @property
    def tip(self) -> str:
        return self.town.ada.tip("main")

    def train(self, seed: int, text: str = GOOD, **more: Any) -> Record:
        """A version on main whose metrics file has these words, with evidence."""
        raw = text.encode()
        files = {
            "model.skops": {"sha256": f"{seed:064x}", "size": 1_500_000},
            "metrics.json": {"sha256": hashlib.sha256(raw).hexdigest(), "size": len(raw)},
        }
        about = {"files": files, "roles": {"metrics": "metrics.json"}, "metrics": json.loads(GOOD), **more}
        made = record_of(seed, minute=seed, **about)
        self.town.push({f"models/delay/versions/{made.version}.json": made.to_json(), "metrics.json": text}, "train")
        self.g.prove(made, "trained", "evaluated")
        return made

    def opened(self, login: str = "ada", to: str = "staging", version: Record | None = None, **more: Any) -> int:
        """The pull request that promotes the version, opened by ``login``."""
        return self.town.promote(version or self.version, to, login=login, **more).pull.number

    def guard(self) -> None:
        """The forge asks what `gitml doctor --fix` sets; the gate has run, so its status is pinned to the jobs' app."""
        with self.town.place() as place:
            place.forge.guards.protect("main", replace(wanted((GATE,)), code_owners=False))
            place.forge.guards.protect("gitml-ledger", Protection())
        (check,) = self.town.ada.get("branches/main/protection")["required_status_checks"]["checks"]
        assert check["app_id"], "pinned to the app of the jobs"

    def unguarded(self) -> None:
        self.town.ada.delete("branches/main/protection")

    def merged(self, number: int, login: str = "olga", **more: Any) -> MergeResult:
        """`gitml merge`."""
        with self.town.place(login) as place:
            return merge(place, Merging(number, **more), sleep=lambda _: None)

    def click(self, number: int, login: str = "ada") -> int:
        """Somebody presses the forge's own button: the status of the answer."""
        return self.town.as_(login).call("PUT", f"pulls/{number}/merge", json={}).status_code

    def record(self) -> None:
        with self.g.place() as place:
            record(place, Recording(self.g.key, RUN))

    def accepted(self) -> dict[str, str]:
        """What new agents would serve: path of the deployment file → the commit of main that they believe."""
        mirror = Mirror(self.folder / "agent", Remote(self.town.kit.remote(self.town.repo, "ada")), "main")
        mirror.prepare()
        heads = mirror.fetch()
        ledger = brought_up(ChangeEvents(), mirror, heads.ledger)
        later = self.clock.now + timedelta(seconds=30)
        grounds = Grounds(mirror, heads.main, ledger, self.town.repo.full_name, later, host="localhost")
        found = {}
        for environment in ("staging", "production", "nowhere"):
            for file in mirror.wanted(heads.main, environment).values():
                judged = agentjudge.judge(grounds, file, None, environment)
                assert isinstance(judged, Go | Keep), judged
                if isinstance(judged, Go):
                    found[file.path] = judged.trusted.change.commit
        return found

    def open(self, number: int) -> None:
        """An honest pull request gets through all of it."""
        outcome = self.g.one(number)
        assert outcome.state is State.SUCCESS, said(outcome)
        done = self.merged(number)
        self.record()
        assert self.accepted()[STAGING] == done.commit

    def shut(self, expected: Mapping[int, tuple[str, ...]], *, force: int = 2) -> None:
        """Nothing gets any of the pull requests through, and all words (patterns) are said of it.

        They are judged; command and button are tried, also after the status was posted by hand; then an administrator
        takes the rules away and merges the first ``force`` of them, CI records that, and an agent is asked. Of the
        others it is enough that no gate was signed that passed: without one no agent follows.
        """
        tip, outcomes = self.tip, self.g.judge(*expected)
        assert [o.number for o in outcomes] == list(expected)
        for outcome in outcomes:
            told = said(outcome)
            missing = [word for word in expected[outcome.number] if not re.search(word, told, re.S)]
            assert missing == [], told
            assert outcome.state is not State.SUCCESS, told
            assert self.g.status(outcome.head)[0] not in ("", "success")
            if outcome is outcomes[0]:
                self.stays(outcome.number, tip)
            self.lie(outcome.head)
            self.stays(outcome.number, tip)
        gates = [b.statement.binding for b in self.g.events("gate") if b and b.statement]
        assert not {o.head for o in outcomes} & {about.head for about in gates if about.result == "passed"}
        self.unguarded()
        before = self.accepted()
        for number in list(expected)[:force]:
            self.forced(number, tip, before)

    def lie(self, head: str) -> None:
        """A writer posts the status of the gate."""
        self.town.as_("rita").post(f"statuses/{head}", state="success", context=GATE, description="trust me")

    def stays(self, number: int, tip: str) -> None:
        """Neither command nor button merges it."""
        with pytest.raises(GitmlError):
            self.merged(number)
        assert self.click(number) in (405, 409, 422)
        assert self.tip == tip

    def forced(self, number: int, tip: str, before: Mapping[str, str] | None = None) -> None:
        """Merged without any rules; what CI then signs convinces no agent. Afterwards main is what it was."""
        before = self.accepted() if before is None else before
        assert self.click(number) == 200
        self.record()
        assert self.accepted().items() <= before.items()
        git(self.town.main, "push", "-q", "--force", "origin", f"{tip}:refs/heads/main")

    def branch(self, name: str, files: Mapping[str, str | None] | None = None, **how: Any) -> int:
        """A pull request with one commit of these files, by default the promotion to staging.

        ``author`` and ``committer`` stand in the commit, ``pusher`` brings it to the forge, ``opener`` asks to merge
        it (all Ada); ``trailer`` is added to its message.
        """
        main = self.town.main
        author, opener = how.get("author", "ada"), how.get("opener", "ada")
        git(main, "fetch", "-q", "origin", "main")
        git(main, "checkout", "-q", "--force", "-B", "attack", "origin/main")
        write(main, dict(files or {STAGING: self.pinned(name)}))
        env = {**identity(author, "AUTHOR"), **identity(how.get("committer", author), "COMMITTER")}
        git(main, "add", "-A")
        git(main, "commit", "-q", "-m", f"{name}\n\n{how.get('trailer', '')}", env=env)
        self.pushed(name, how.get("pusher", "ada"))
        body = {"title": name, "head": name, "base": "main"}
        return int(self.town.as_(opener).post("pulls", **body)["number"])

    def pushed(self, branch: str, login: str) -> None:
        """What is checked out in the attackers' clone becomes the branch; main is checked out again."""
        main = self.town.main
        git(main, "push", "-q", self.town.kit.remote(self.town.repo, login), f"HEAD:refs/heads/{branch}")
        git(main, "checkout", "-q", "--force", "-B", "main", "origin/main")

    def pinned(self, note: str = "", version: Record | None = None) -> str:
        """The deployment file that lets the version answer; ``note`` makes it a file of its own."""
        state = Deployment(champion=pin(version or self.version))
        return render_deployment(state) + (f"# {note}\n" if note else "")


def identity(login: str, role: str) -> dict[str, str]:
    return {f"GIT_{role}_NAME": login, f"GIT_{role}_EMAIL": login if "@" in login else f"{login}@example.org"}


def said(outcome: GateOutcome) -> str:
    judged = outcome.judged
    decision = json.dumps(judged.decision.to_dict()) if judged and judged.decision else ""
    refused = " ".join(judged.refused) if judged else ""
    return f"{outcome.state.value}: {outcome.line} {refused} {outcome.problem} {decision}"


@dataclass(frozen=True)
class Template:
    """A scene at rest. ``again`` makes a copy that answers."""

    folder: Path
    scene: Scene

    @contextmanager
    def again(self, folder: Path) -> Iterator[Scene]:
        shutil.copytree(self.folder, folder, symlinks=True)
        old, clock = self.scene, Clock(self.scene.clock.now)
        with running(folder, clock) as kit:
            kit = replace(kit, token=old.town.kit.token)
            with kit.sandbox.store.read() as tx:
                repo = repos.find(tx, *old.town.repo.full_name.split("/"))
            assert repo is not None
            town = replace(
                old.town, kit=kit, repo=repo, main=folder / "main", here=folder / "here", said=[], now=clock.now
            )
            for clone in (town.main, town.here):
                git(clone, "remote", "set-url", "origin", kit.remote(repo, "ada"))
            yield replace(old, g=replace(old.g, town=town), clock=clock, folder=folder)


@contextmanager
def running(folder: Path, clock: Clock) -> Iterator[Kit]:
    with serving(folder / "state", Options(port=0, runner=False, clock=clock)) as found:
        yield Kit(found.sandbox, found.address.url)
        close_clients(found.address.url)


def template(folder: Path, keys: Mapping[str, Any] | None = None) -> Template:
    clock = Clock()
    with running(folder, clock) as kit:
        kit = replace(kit, token=people(kit.sandbox))
        g = gated(kit, folder, **RULES)
        if keys:
            g.rules(keys={**g.policy["keys"], **keys})
        with kit.sandbox.store.write() as tx:
            for login in ("olga", "rita"):
                emails.add(tx, users.get(tx, login).id, [f"{login}@example.org"])
            repos.set_collaborator(tx, g.town.repo.id, users.get(tx, "gitml-bot[bot]").id, "write")
        nothing = record_of(0)
        scene = Scene(g, clock, nothing, nothing, folder)
        scene.first = scene.train(1)
        number = scene.opened(version=scene.first)
        g.approve(number)
        scene.open(number)
        scene.version = scene.train(2)
        scene.guard()
    return Template(packed(folder), scene)
