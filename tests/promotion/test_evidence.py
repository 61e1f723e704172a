"""``gitml evidence`` and ``gitml audit`` as people call them."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from evidence.evidence_kit import REPOSITORY, World, key_pair, stamp, world
from gitml.cli.main import gitml
from gitml.errors import InconclusiveError, RefError, UsageError
from gitml.evidence.keys import signing_key
from gitml.git import ledger
from gitml.spec import parse_policy


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A promotion with its evidence, and an event that nobody vouches for."""
    made = world(tmp_path_factory.mktemp("evidence"))
    about = made.promote("one")
    stranger, _ = key_pair()
    made.record(
        about.model_copy(update={"kind": "gate", "time": stamp(made.now() + timedelta(minutes=1))}), key=stranger
    )
    made.publish()
    return made


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_TOKEN", "GH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)


def call(app: World, *words: str) -> Result:
    return CliRunner().invoke(gitml, ["-C", str(app.root), *words], standalone_mode=False)


def test_ls(app: World) -> None:
    lines = call(app, "evidence", "ls").stdout.splitlines()
    assert [line.split()[2] for line in lines[1:]] == ["gate", "promoted", "gate", "approved"]
    assert "signed by ci" in lines[2]
    assert "no: is signed by a key that policy.yaml does not name" in lines[1]
    found = json.loads(call(app, "evidence", "ls", "--kind", "gate", "--json").stdout)
    assert [f["believed"] for f in found] == [False, True]
    assert len(json.loads(call(app, "evidence", "ls", "-n", "1", "--json").stdout)) == 1
    for words in (("--model", "other"), ("--environment", "staging"), ("--pull", "8")):
        assert json.loads(call(app, "evidence", "ls", *words, "--json").stdout) == []
    assert "is not one of" in str(call(app, "evidence", "ls", "--kind", "gates").exception)
    assert len(json.loads(call(app, "evidence", "ls", "--pull", "7", "--model", "m", "--json").stdout)) == 4


def test_show(app: World) -> None:
    name = app.names[0]
    digest = name[-17:-5]
    result = call(app, "evidence", "show", digest)
    assert (result.return_value, "counts: signed by ci" in result.stdout) == (0, True)
    shown = json.loads(call(app, "evidence", "show", name, "--json").stdout)
    assert (shown["event"], shown["details"], shown["binding"]["pull"]) == (name, {"numbers": [1.5]}, 7)
    assert call(app, "evidence", "show", app.names[-1]).return_value == 1
    for wrong in ("ffffffffffff", digest[:3], "2026/03", ""):
        with pytest.raises(RefError):
            raise call(app, "evidence", "show", wrong).exception or AssertionError


def test_verify(app: World, tmp_path: Path) -> None:
    result = call(app, "evidence", "verify")
    assert (result.return_value, "1 of 4 events do not count" in result.stdout) == (1, True)
    good, bad = app.names[0], app.names[-1]
    assert call(app, "evidence", "verify", good).return_value == 0
    assert call(app, "evidence", "verify", good, bad).return_value == 1
    contents = {e.name: e.content for e in ledger.read(app.root, f"origin/{ledger.BRANCH}")}
    (tmp_path / "envelope.json").write_bytes(contents[good])
    (tmp_path / "edited.json").write_bytes(contents[good].replace(b"sig", b"gis"))
    assert call(app, "evidence", "verify", str(tmp_path / "envelope.json")).return_value == 0
    said = json.loads(call(app, "evidence", "verify", str(tmp_path / "edited.json"), "--json").stdout)
    assert (said["verdict"]["phase"], said["events"][0]["believed"]) == ("failed", False)


def test_a_clone_without_a_ledger(tmp_path: Path) -> None:
    made = world(tmp_path)
    made.publish()
    for command in ("ls", "verify"):
        with pytest.raises(InconclusiveError, match=ledger.BRANCH):
            raise call(made, "evidence", command).exception or AssertionError
    made.promote("one")
    assert call(made, "evidence", "verify", "--fetch").return_value == 0


def test_keygen(tmp_path: Path) -> None:
    file = tmp_path / "ci.key"
    result = CliRunner().invoke(gitml, ["evidence", "keygen", str(file), "--owner", 'CI "x"', "--purpose", "gate"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    policy = parse_policy(f"environments:\n  production: {{}}\n{result.stdout}".encode())
    key = policy.keys["ci"]
    assert (key.owner, key.purposes) == ('CI "x"', ("gate", "derived", "observed", "declined"))
    assert signing_key(str(file)).public.split()[1] == key.public.split()[1]
    assert "PRIVATE" not in result.stdout + result.stderr
    secret = file.read_text()
    again = CliRunner().invoke(gitml, ["evidence", "keygen", str(file)], standalone_mode=False)
    assert isinstance(again.exception, UsageError)
    assert file.read_text() == secret
    every = CliRunner().invoke(gitml, ["evidence", "keygen", str(tmp_path / "all.key")])
    assert "rolled-back" in parse_policy(f"environments:\n  p: {{}}\n{every.stdout}".encode()).keys["all"].purposes


def test_audit_and_its_export(app: World, tmp_path: Path) -> None:
    result = call(app, "audit", "--json")
    said = json.loads(result.stdout)
    assert (result.return_value, said["verdict"]["phase"]) == (1, "failed")
    assert [f["finding"] for f in said["findings"]] == ["unknown-key"]
    assert said["changes"][0]["gate"] == "passed"
    text = call(app, "audit").stdout
    assert "unknown-key" in text
    assert said["ledger_head"] in text
    out = tmp_path / "out"
    assert call(app, "audit", "export", "--out", str(out)).return_value == 1
    again = call(app, "audit", "--export", str(out), "--json")
    assert json.loads(again.stdout)["findings"] == said["findings"]


def test_starting_gitml_loads_no_cryptography() -> None:
    code = "import sys\nfrom gitml.cli.main import gitml\ngitml(['--help'], standalone_mode=False)\n"
    code += "assert not any(m.split('.')[0] == 'cryptography' for m in sys.modules)\n"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
