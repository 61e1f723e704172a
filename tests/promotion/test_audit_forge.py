"""What only the forge knows: who pushed to main, and what came by a pull request."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from evidence.evidence_kit import VERSION, World, binding, enveloped, key_pair, named, stamp
from gitml.evidence.audit import Audit
from gitml.evidence.statement import SignedChange
from gitml.git import ledger
from gitml.promotion.audit import AuditCall, audit
from gitml.verdict import Phase
from gitml_sandbox.forge.repos import Repo
from sandbox.forge_kit import Kit, git
from sandbox.rest_kit import Api, seeded

PATH = "models/m/production.yaml"


def promoted(kit: Kit, folder: Path) -> tuple[World, Api, Repo]:
    """A promotion by a pull request, with all of its evidence; and a clone with ada's token in its origin."""
    repo, ada, olga, _ = seeded(kit)
    key, public = key_pair()
    made = World(folder / "clone", key, public)
    ada.write("policy.yaml", made.policy({"ci": public}))
    base = ada.tip("main")
    ada.branch("promote")
    ada.write(PATH, f"champion:\n  version: {VERSION}\n  digest: {'c' * 64}\n", "promote")
    number = ada.post("pulls", title="Promote", head="promote", base="main")["number"]
    olga.review(number)
    head = ada.merge(number)["sha"]
    kit.clone(repo, made.root)
    policy = hashlib.sha256(git(made.root, "show", f"{base}:policy.yaml").encode()).hexdigest()
    about = binding(
        "gate",
        repository=repo.full_name,
        model="m",
        environment="production",
        version=VERSION,
        artifact="c" * 64,
        change=SignedChange(path=PATH, old="", new=made.blob(head, PATH)).model_dump(),
        pull=number,
        head=head,
        base=base,
        policy=policy,
        time=stamp(datetime.now(UTC)),
    )
    server = ledger.Remote(f"{kit.url}/{repo.full_name}.git", kit.token["ada"])
    for kind in ("gate", "approved", "promoted"):
        mine = about.model_copy(update={"kind": kind})
        envelope = enveloped(mine, key)
        ledger.append(server, {named(mine, envelope): envelope})
    return made, ada, repo


def judged(kit: Kit, made: World, ada: Api, *, ask_forge: bool = True) -> Audit:
    env = {
        "GITHUB_API_URL": f"{kit.url}/api/v3",
        "GITHUB_SERVER_URL": kit.url,
        "GITHUB_REPOSITORY": ada.repo,
        "GITHUB_TOKEN": kit.token["ada"],
    }
    return audit(made.root, env, AuditCall(fetch=True, ask_forge=ask_forge))


def kinds(result: Audit) -> dict[str, str]:
    return {finding.kind.value: finding.message for finding in result.findings}


@pytest.mark.nightly
def test_who_pushed_what(kit: Kit, tmp_path: Path) -> None:
    made, ada, repo = promoted(kit, tmp_path)
    result = judged(kit, made, ada)
    assert (result.verdict.phase, result.findings) == (Phase.SUCCESSFUL, ())
    assert judged(kit, made, ada, ask_forge=False).findings == ()
    # olga pushes a change of the policy, and says that rita wrote it.
    other = replace(made, root=kit.clone(repo, tmp_path / "olga", "olga"))
    rita = kit.user("rita")
    text = (other.root / "policy.yaml").read_text()
    (other.root / "policy.yaml").write_text(f"{text}# easier\n")
    author = f"rita <{rita.id}+rita@users.noreply.localhost>"
    git(other.root, "commit", "-qam", "Easier", "--author", author)
    git(other.root, "push", "-q", "origin", "HEAD:main")
    found = kinds(judged(kit, made, ada))
    assert found["direct-push"] == "was pushed to main by olga, without a pull request"
    assert found == {
        "direct-push": found["direct-push"],
        "forged-author": "says that it is by rita, but olga pushed it",
    }
    assert set(kinds(judged(kit, made, ada, ask_forge=False))) == {"way-unknown"}
