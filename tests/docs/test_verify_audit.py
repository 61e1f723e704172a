"""docs/verify_audit.py: a second program, without gitml, believes a real export and finds what was done to one."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from evidence.evidence_kit import ALL, REPOSITORY, START, VERSION, World, binding, key_pair, stamp, world
from evidence.look_kit import look_details
from gitml.git import ledger
from gitml.promotion.audit import AuditCall, audit
from gitml.promotion.auditexport import export

SCRIPT = Path(__file__).parents[2] / "docs/verify_audit.py"
SAID = {"approvers": ["rita", "olga"]}
NOW = START + timedelta(days=2)


def exported(made: World, folder: Path) -> Path:
    export(audit(made.root, {}, AuditCall(repository=REPOSITORY), now=NOW), folder)
    return folder


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = world(tmp_path_factory.mktemp("verified"), purposes=f"[{', '.join((*ALL, 'look'))}]")
    made.promote("one")
    about = binding("look", model="m", environment="production", version=VERSION, time=stamp(made.now()))
    ledger.append(made.server, dict([made.sign(about, details=look_details(version=VERSION))]), branch=ledger.LOOKS)
    about = made.deploy("two")
    signed = (made.sign(about.model_copy(update={"kind": k}), details=SAID) for k in ("gate", "approved", "promoted"))
    ledger.append(made.server, dict(signed))
    made.publish()
    return made


@pytest.fixture(scope="module")
def whole(app: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(app, tmp_path_factory.mktemp("out") / "audit")


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


@pytest.fixture
def verify(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def run(*words: str | Path) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["verify_audit.py", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        told = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, told.out + told.err

    return run


def edit(path: Path, change: Callable[[Any], None]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def edit_lines(folder: Path, name: str, change: Callable[[list[Any]], None]) -> None:
    path = folder / f"{name}.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    change(rows)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_it_is_short_and_needs_nothing_but_cryptography() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 200
    imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {n.name.split(".")[0] for i in imports if isinstance(i, ast.Import) for n in i.names}
    names |= {str(i.module).split(".")[0] for i in imports if isinstance(i, ast.ImportFrom)}
    assert names - set(sys.stdlib_module_names) == {"cryptography"}


def test_a_real_export_in_a_process_of_its_own(app: World, whole: Path) -> None:
    words = [sys.executable, "-I", str(SCRIPT), str(whole), "--key", app.key.keyid]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    assert ran.stdout == "the audit itself: successful: 2 changes and 6 events agree\n"


def test_without_a_fingerprint_it_stays_open(verify: Any, app: World, whole: Path) -> None:
    code, told = verify(whole)
    assert code == 3
    assert f"open: is {app.key.keyid} a key of CI?" in told
    assert verify(whole, "--key", "SHA256:other")[0] == 3


def test_a_head_that_was_kept(verify: Any, app: World, whole: Path) -> None:
    head = json.loads((whole / "facts.json").read_text())["ledger"][0]["commit"]
    assert verify(whole, "--key", app.key.keyid, "--ledger-head", head)[0] == 0
    code, told = verify(whole, "--key", app.key.keyid, "--ledger-head", "f" * 40)
    assert code == 1
    assert "does not have the head that was kept" in told


def forged_signature(folder: Path) -> None:
    def change(facts: Any) -> None:
        blob = min(blob for _, blob, *_ in facts["entries"] if blob in facts["contents"])
        raw = base64.b64decode(facts["contents"][blob])
        sig = json.loads(raw)["signatures"][0]["sig"]
        other = base64.b64encode(bytes([base64.b64decode(sig)[0] ^ 1]) + base64.b64decode(sig)[1:]).decode()
        renamed(facts, blob, raw.replace(sig.encode(), other.encode()))

    edit(folder / "facts.json", change)
    names = {n[:-17]: n for n, _, _ in json.loads((folder / "facts.json").read_text())["entries"]}
    for name in ("events", "changes"):
        edit_lines(folder, name, lambda rows: [rename(row, names) for row in rows])


def renamed(facts: Any, blob: str, raw: bytes) -> None:
    """Other bytes in place of an event's, under the names that these bytes must have."""
    new = hashlib.sha1(b"blob %d\0" % len(raw) + raw).hexdigest()
    del facts["contents"][blob]
    facts["contents"][new] = base64.b64encode(raw).decode()
    for entry in facts["entries"]:
        if entry[1] == blob:
            entry[:2] = [entry[0][:-17] + hashlib.sha256(raw).hexdigest()[:12] + ".json", new]


def rename(row: Any, names: dict[str, str]) -> None:
    if "event" in row:
        row["event"] = names.get(row["event"][:-17], row["event"])
    else:
        row["events"] = [names.get(name[:-17], name) for name in row["events"]]


def edited_envelope(folder: Path) -> None:
    def change(facts: Any) -> None:
        blob = min(facts["contents"])
        facts["contents"][blob] = base64.b64encode(base64.b64decode(facts["contents"][blob]) + b"\n").decode()

    edit(folder / "facts.json", change)


def another_name_in_git(folder: Path) -> None:
    def change(facts: Any) -> None:
        entry = facts["entries"][0]
        facts["contents"]["a" * 40] = facts["contents"].pop(entry[1])
        entry[1] = "a" * 40

    edit(folder / "facts.json", change)


def later(column: str, value: Any, name: str = "changes") -> Callable[[Path], None]:
    return lambda folder: edit_lines(folder, name, lambda rows: rows[-1].update({column: value}))


def without_a_change(folder: Path) -> None:
    edit_lines(folder, "changes", list.pop)


def without_an_event(folder: Path) -> None:
    edit_lines(folder, "events", list.pop)


def with_evidence_of_another_change(folder: Path) -> None:
    edit_lines(folder, "changes", lambda rows: rows[1].update(events=rows[0]["events"]))


def without_evidence(folder: Path) -> None:
    edit_lines(
        folder, "changes", lambda rows: rows[0].update(events=[], gate="", approval="", placed="", version="", pull="")
    )


def an_edited_table(folder: Path) -> None:
    path = folder / "changes.csv"
    path.write_bytes(path.read_bytes().replace(b",passed,", b",failed,", 1))


def another_verdict(folder: Path) -> None:
    edit(folder / "verdict.json", lambda verdict: verdict.update(phase="inconclusive"))


def a_cut_ledger(folder: Path) -> None:
    edit(folder / "facts.json", lambda facts: facts["ledger"].pop())


def a_deletion(folder: Path) -> None:
    edit(folder / "facts.json", lambda facts: facts["ledger"][-1]["touches"][0].update(old="a" * 40))


def a_wider_key(folder: Path) -> None:
    edit(folder / "keys.json", lambda keys: keys["policies"][-1]["keys"][0].update(purposes=["trained"]))


def an_earlier_end(folder: Path) -> None:
    edit(folder / "keys.json", lambda keys: keys["policies"][-1]["keys"][0].update(until="2026-02-01T00:00:00Z"))


@pytest.mark.parametrize(
    ("tamper", "told"),
    [
        (forged_signature, "its signature is not of its key"),
        (edited_envelope, "Git's name of it"),
        (another_name_in_git, "Git's name of it"),
        (later("version", "20260301T070000Z-00000000"), "does not say version"),
        (later("gate", "failed"), "does not say gate failed"),
        (later("placed", "rolled-back"), "does not say placed"),
        (later("by", "eve"), "does not say by eve"),
        (later("approvers", ["eve"]), "does not say approvers"),
        (later("approvers", []), "does not say approvers"),
        (later("result", "failed", "events"), "another result than was signed"),
        (later("signer", "release", "events"), "another signer than was signed"),
        (without_a_change, "changes.jsonl does not tell of its change"),
        (later("result", "failed", "looks"), "looks.jsonl says another result"),
        (lambda folder: edit_lines(folder, "looks", list.pop), "exactly the looks of facts.json"),
        (without_an_event, "exactly the events of facts.json"),
        (with_evidence_of_another_change, "does not count for this change"),
        (without_evidence, "its evidence is not whole"),
        (an_edited_table, "changes.csv: does not say what changes.jsonl says"),
        (another_verdict, "does not follow from the tables"),
        (a_cut_ledger, "the ledger does not end"),
        (a_deletion, "the ledger was edited"),
        (a_wider_key, "a kind that its key may not sign"),
        (an_earlier_end, "when its key does not count"),
    ],
)
def test_what_was_done_to_it(verify: Any, app: World, folder: Path, tamper: Callable[[Path], None], told: str) -> None:
    tamper(folder)
    code, said = verify(folder, "--key", app.key.keyid)
    assert (code, told in said) == (1, True), said


def test_another_policy_is_no_export(verify: Any, folder: Path) -> None:
    stranger, public = key_pair()
    edit(folder / "keys.json", lambda keys: keys["policies"][-1]["keys"][0].update(public=public))
    code, told = verify(folder, "--key", stranger.keyid)
    assert code == 2
    assert "keys that these do not have" in told


def test_somebody_s_own_repository_with_own_keys_does_not_pass(verify: Any, app: World, tmp_path: Path) -> None:
    forger = world(tmp_path)
    forger.promote("one")
    forger.publish()
    folder = exported(forger, tmp_path / "out")
    assert verify(folder, "--key", app.key.keyid)[0] == 3
    assert verify(folder, "--key", forger.key.keyid)[0] == 0


def test_an_audit_that_failed_is_whole_and_says_so(verify: Any, tmp_path: Path) -> None:
    made = world(tmp_path)
    made.promote("one")
    stranger, _ = key_pair()
    about = made.deploy("two", author="<b>\n\x1b[31m")
    made.record(about.model_copy(update={"kind": "gate", "run": "=1+1"}), key=stranger)
    made.rewrite_ledger('echo x > "strange"')
    made.publish()
    code, told = verify(exported(made, tmp_path / "out"), "--key", made.key.keyid)
    assert code == 1
    assert "wrong:" not in told
    assert "the audit itself: failed" in told


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"a": 1, "a": 2}', "[" * 100_000, '{"format": "gitml audit 1"}'])
def test_what_is_no_export(verify: Any, folder: Path, text: str) -> None:
    (folder / "facts.json").write_text(text)
    code, told = verify(folder)
    assert code == 2
    assert "not a whole export of an audit" in told


def test_an_empty_folder(verify: Any, tmp_path: Path) -> None:
    assert verify(tmp_path)[0] == 2
