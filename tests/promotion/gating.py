"""A town whose gate has a key: evidence on its ledger, reviews on its pull requests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitml.control.place import Place
from gitml.control.signing import Signer, bound
from gitml.evidence.keys import SigningKey, generate, signing_key
from gitml.evidence.statement import Statement
from gitml.evidence.trust import Believed, believe
from gitml.gate.ground import Ground, ground
from gitml.git import ledger
from gitml.promotion.gate import GateOrder, GateOutcome, gate
from gitml.registry.record import Record
from gitml_sandbox.forge import emails, tokens, users
from promotion.promoting import POLICY, Town, town
from sandbox.forge_kit import Kit, git

PURPOSES = ["trained", "evaluated", "reproduced", "gate", "approved", "promoted", "rolled-back", "deployed"]
RUN = "http://ci.example/runs/7"
JOB = {"contents": "write", "pull-requests": "write", "statuses": "write", "actions": "read"}


@dataclass
class Gated:
    """``key`` signs, and main's policy names it; ``token`` is that of the workflow's job."""

    town: Town
    secret: str
    token: str
    policy: dict[str, Any]

    @property
    def key(self) -> SigningKey:
        return signing_key(self.secret)

    @contextmanager
    def place(self) -> Iterator[Place]:
        with self.town.place(self.token) as found:
            yield found

    @contextmanager
    def ground(self) -> Iterator[tuple[Place, Ground]]:
        with self.place() as place, ground(place) as known:
            yield place, known

    def ready(self, seed: int = 1, login: str = "ada") -> tuple[Record, int]:
        """A version with evidence, and the pull request that promotes it to staging."""
        version = self.town.train(seed)
        self.prove(version, "trained", "evaluated")
        return version, self.town.promote(version, login=login).pull.number

    def approve(self, number: int, login: str = "olga", **more: Any) -> None:
        self.town.as_(login).review(number, **more)

    def judge(self, *numbers: int, key: bool = True, **more: Any) -> tuple[GateOutcome, ...]:
        order = GateOrder(numbers or None, official=True, key=self.key if key else None, run=RUN, **more)
        with self.place() as place:
            return gate(place, order)

    def one(self, number: int, **more: Any) -> GateOutcome:
        (outcome,) = self.judge(number, **more)
        return outcome

    def prove(self, version: Record, *kinds: str, **about: Any) -> None:
        """Evidence of the kinds for a version, signed and on the ledger."""
        artifact = version.files[version.artifact].sha256
        base = {"model": version.model, "version": version.version, "artifact": artifact}
        with self.ground() as (place, known):
            made = [Statement(bound(place, kind, RUN, **base, **about), {}) for kind in kinds]
            Signer(place, known.policy, self.key).sign(made)

    def events(self, kind: str = "") -> list[Believed]:
        """What the ledger holds, oldest first."""
        with self.ground() as (place, known):
            head = ledger.fetch(place.root, place.remote)
            raw = [e.content for e in ledger.read(place.root, head)] if head else []
            found = [believe(c, known.policy.keys, place.settings.repository, place.clock()) for c in raw]
        return [b for b in found if b.statement and kind in ("", b.statement.binding.kind)]

    def results(self, kind: str = "gate") -> list[str]:
        found = self.events(kind)
        assert all(found), [b.why_not for b in found]
        return [b.statement.binding.result for b in found if b.statement]

    def status(self, sha: str, context: str = "gitml/gate") -> tuple[str, str]:
        for one in self.town.ada.get(f"commits/{sha}/statuses"):
            if one["context"] == context:
                return one["state"], one["description"]
        return "", ""

    def comments(self, number: int) -> list[str]:
        return [c["body"] for c in self.town.ada.get(f"issues/{number}/comments")]

    def rules(self, **changes: Any) -> None:
        self.policy = {**self.policy, **changes}
        self.town.policy(**self.policy)

    def pull(self, files: dict[str, str | None], branch: str = "side", login: str = "ada") -> int:
        """A branch from main with these files, and its pull request."""
        t = self.town
        git(t.main, "fetch", "-q", "origin")
        git(t.main, "checkout", "-q", "-B", branch, "origin/main")
        for name, text in files.items():
            path = t.main / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.commit(branch, login)
        git(t.main, "checkout", "-q", "-B", "main", "origin/main")
        body = {"title": branch, "head": branch, "base": "main"}
        return int(t.as_(login).post("pulls", **body)["number"])

    def commit(self, branch: str, login: str = "ada") -> str:
        """Commit what lies in the clone that pushes, as the account, and push it to the branch."""
        user = self.town.kit.user(login)
        mail = f"{user.id}+{login}@users.noreply.localhost"
        who = {f"GIT_{r}_{k}": v for r in ("AUTHOR", "COMMITTER") for k, v in (("NAME", login), ("EMAIL", mail))}
        git(self.town.main, "add", "-A")
        git(self.town.main, "commit", "-q", "--allow-empty", "-m", branch, env=who)
        remote = self.town.kit.remote(self.town.repo, login)
        git(self.town.main, "push", "-q", "--force", remote, f"HEAD:refs/heads/{branch}")
        return git(self.town.main, "rev-parse", "HEAD").strip()

    def head(self, number: int) -> str:
        return str(self.town.ada.get(f"pulls/{number}")["head"]["sha"])


def gated(kit: Kit, folder: Path, **changes: Any) -> Gated:
    secret, public = generate()
    made = town(kit, folder)
    keys = {"ci": {"public": public, "owner": "CI", "purposes": PURPOSES, "from": "2026-01-01"}}
    with kit.sandbox.store.write() as tx:
        # The forge knows whose address stands in the commits of main.
        emails.add(tx, users.get(tx, "ada").id, ["ada@example.org"])
        bot = users.get(tx, "github-actions[bot]") if _has(tx) else users.add(tx, "github-actions[bot]", type="Bot")
        token = tokens.mint(tx, user_id=bot.id, kind="job", repo_id=made.repo.id, permissions=JOB)
    found = Gated(made, secret, token, {**POLICY, "keys": keys, **changes})
    found.rules()
    return found


def _has(tx: Any) -> bool:
    return tx.execute("SELECT 1 FROM users WHERE login = 'github-actions[bot]'").fetchone() is not None
