"""What evidence bears on, told by real Git: the file, the pull request, main as it was, the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from conftest import git
from gate.kit import REPOSITORY
from gitml.evidence.bearing import predates, touched_in, why_not, without_backdated
from gitml.evidence.keys import generate
from gitml.evidence.statement import Binding, SignedChange, Statement
from gitml.evidence.trust import Believed
from gitml.git.commands import Git
from gitml.spec.policy import TrustedKey

PATH = "models/delay/staging.yaml"
MADE = datetime(2026, 11, 25, 12, tzinfo=UTC)


class Line:
    """main, on which a deployment file goes from A to B and back."""

    def __init__(self, root: Path) -> None:
        git(root, "init", "-q", "-b", "main")
        self.git, self.root = Git(root), root

    def put(self, text: str, path: str = PATH) -> str:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)
        git(self.root, "add", "-A")
        git(self.root, "commit", "-q", "-m", text)
        return git(self.root, "rev-parse", "HEAD").strip()

    def blob(self, commit: str) -> str:
        return git(self.root, "rev-parse", f"{commit}:{PATH}").strip()


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


def signed(kind: str, base: str, change: SignedChange | None, **more: object) -> Binding:
    about = {"repository": REPOSITORY, "time": "2026-11-25T12:00:00Z", "head": "f" * 40, **more}
    about |= {"model": "delay", "environment": "staging"} if change else {}
    return Binding.model_validate({"kind": kind, "base": base, "change": change, **about})


def judged(line: Line, about: Binding, change: SignedChange, main: str, pull: int | None = None) -> str:
    return why_not(about, change, touched_in(line.git, change.path, main), pull)


def test_the_same_step_after_a_rollback_is_another_change(line: Line) -> None:
    """A→B was overridden, B→A, and four days later A→B once more: nothing that was signed for the first opens it."""
    first = line.put("A")
    second = line.put("B")
    change = SignedChange(path=PATH, old=line.blob(first), new=line.blob(second))
    about = signed("overridden", first, change, pull=7)
    back = line.put("A")
    later = line.put("x", "other.txt")
    assert judged(line, about, change, first, 7) == ""
    assert "has changed the file since" in judged(line, about, change, later, 7)
    again = signed("overridden", back, change, pull=7)
    assert judged(line, again, change, later, 7) == ""
    assert "is of pull request 7" in judged(line, again, change, later, 9)
    assert "names no pull request" in judged(line, signed("overridden", back, change), change, later, 9)
    other = SignedChange(path=PATH, old=change.new, new=change.old)
    assert "another change" in judged(line, again, other, later, 7)
    assert "is not on main" in judged(line, signed("gate", "e" * 40, change), change, later)
    elsewhere = about.model_copy(update={"environment": "production"})
    assert "speaks of delay in production" in judged(line, elsewhere, change, first, 7)
    git(line.root, "switch", "-q", "-c", "side", first)
    side = line.put("side", "side.txt")
    git(line.root, "switch", "-q", "main")
    git(line.root, "merge", "-q", "--no-edit", "side")
    merged = git(line.root, "rev-parse", "HEAD")
    assert "is not on main" in judged(line, signed("gate", side, change), change, merged), "of main's own line"
    assert "does not say" in judged(line, signed("gate", "", change), change, later)


def test_evidence_is_not_older_than_the_commit_it_was_judged_on(line: Line) -> None:
    made = f"{int(MADE.timestamp())} +0000"
    tree = git(line.root, "write-tree").strip()
    text = f"tree {tree}\nauthor a <a@x> {made}\ncommitter a <a@x> {made}\n\nx\n"
    base = line.git.repository.store("commit", text.encode())
    old_key = datetime(2026, 9, 1, tzinfo=UTC)
    honest, old = signed("gate", base, None), signed("gate", base, None, time="2026-08-01T00:00:00Z")
    assert predates(line.git.repository, honest, base, old_key) == ""
    assert "before there was the commit" in predates(line.git.repository, old, base, old_key)
    assert "before there was the commit" in predates(line.git.repository, old, base, MADE)
    # While the key counted, no old date was needed, and the commit may be dated ahead.
    assert predates(line.git.repository, old, base, MADE + timedelta(seconds=1)) == ""
    assert predates(line.git.repository, old, base, None) == ""
    assert predates(line.git.repository, old, "e" * 40, old_key) == ""
    public = generate()[1]
    about = {"public": public, "owner": "CI", "purposes": ("gate",), "from": "2026-01-01"}
    keys = {
        "old": TrustedKey.model_validate({**about, "until": "2026-09-01"}),
        "ci": TrustedKey.model_validate({**about, "until": "2027-09-01"}),
    }
    told = tuple(Believed(Statement(b), name, "") for b in (honest, old) for name in keys)
    counted = [(e.signer, bool(e)) for e in without_backdated(line.git, told, keys)]
    assert counted == [("old", True), ("ci", True), ("old", False), ("ci", True)]
