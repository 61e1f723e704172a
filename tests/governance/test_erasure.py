"""A person is erased: from the request to the proof that no byte of theirs can be reached."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import yaml

from conftest import git
from gitml.cijobs.erasing import handed_over, keep_subjects
from gitml.cijobs.erasurefile import NAME
from gitml.cijobs.erasuresigning import ErasureSigning, sign_erasures
from gitml.cijobs.handover import folder_of
from gitml.control.signing import heard
from gitml.errors import IntegrityError, UsageError
from gitml.git.tree import WorkTree
from gitml.governance.dataversions import current_data, data_of, records_on
from gitml.governance.erasedobjects import ErasedEverywhere, gone_list, states_of
from gitml.governance.subjectfind import SubjectFound, find_subject
from gitml.governance.subjectids import SoughtPerson, new_key
from gitml.inference.watches import recorded_reference
from gitml.monitoring.reference import (
    VersionReference,
    read_version_reference,
    recoded_reference,
    version_reference_bytes,
)
from gitml.project.check import check
from gitml.promotion.audit import AuditCall, audit
from gitml.promotion.auditexport import export
from gitml.promotion.erase import EraseOrder, ErasureAsked, erase
from gitml.registry.erasures import erasures
from gitml.registry.record import Record
from gitml.registry.replacements import ReplacedFile, replacements_of, with_replaced
from gitml.retraining.causes import by_erasure
from gitml.retraining.erased import remembered_by
from gitml.spec import load_application
from gitml.training.gc import GcCall, plan
from gitml.verdict import Phase
from governance.people_town import (
    ADA,
    BOB,
    GITML,
    KEYS,
    MARK,
    OTHERS,
    PAY,
    RUN,
    PeopleTown,
    names_in,
    reference_file,
    sample_rows,
    table,
)

SCRIPT = Path(__file__).parents[2] / "docs/verify_audit.py"
# What the night asks besides.
_BY_NIGHT = pytest.mark.nightly


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PeopleTown:
    monkeypatch.setattr("os.fsync", lambda _: None)
    monkeypatch.setenv("GITHUB_REPOSITORY", "ada/people")
    made = PeopleTown.create(tmp_path)
    index(made)
    made.serve()
    return made


def index(town: PeopleTown) -> tuple[int, tuple[str, ...]]:
    tree = WorkTree(town.root)
    with town.data() as data:
        every = {one for record in records_on(tree) for one in data_of(record, data.subjects)}
        return data.index(sorted(every | {*current_data(tree, data.subjects)}))


def find(town: PeopleTown, who: str) -> SubjectFound:
    with town.data() as data:
        wanted = SoughtPerson.by_id(data.ring, who, data.subjects.form)
        return find_subject(WorkTree(town.root), data, wanted, town.traffic)


def ask(town: PeopleTown, who: str = ADA, request: str = "R-1") -> ErasureAsked:
    with town.data() as data:
        return erase(town.place(), data, EraseOrder(request, who, town.traffic))


def gc(town: PeopleTown, *, delete: bool = True) -> ErasedEverywhere:
    tree = WorkTree(town.root)
    with town.data() as data:
        place = town.place()
        signed = heard(place, place.newest().policy()).all("erased")
        gone = gone_list(tree, data, erasures(tree)[0], replacements_of(one.details for one in reversed(signed)))
        return ErasedEverywhere(gone, states_of(data, gone, delete=delete))


def reference_of(town: PeopleTown, record: Record) -> VersionReference:
    return read_version_reference(town.object(record.contents()["reference.json"].digest[4:]))


def merged(town: PeopleTown) -> None:
    """The request on main, with a version that CI trained on data without her."""
    done = ask(town)
    town.merge("gitml/erase/m".replace("/m", "/R-1") if done.pull is None else done.pull.head.branch)
    names = names_in(town.object(done.removed[0].content.decode().partition("md5: ")[2][:32]))
    town.trained(*names)


def audited(town: PeopleTown) -> tuple[list[bool], list[str]]:
    """Which events an export of the audit believes, and what the second program finds wrong with it. That nobody
    approved the deployments of this town is another matter."""
    git(town.root, "fetch", "-q", str(town.forge.remote), "gitml-ledger:gitml-ledger", "main:refs/remotes/origin/main")
    folder = town.root.parent / "audit"
    export(audit(town.root, {}, AuditCall(repository="ada/people"), now=town.now), folder)
    listed = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    done = subprocess.run([sys.executable, SCRIPT, folder], capture_output=True, text=True, check=False)
    assert "the audit itself" in done.stdout, done.stderr
    return [one["believed"] for one in listed], [one for one in done.stdout.splitlines() if one.startswith("wrong")]


def test_from_the_request_to_the_proof(town: PeopleTown) -> None:
    first, second, third = (one.version for one in town.versions)
    found = find(town, f" {ADA.lower()}")
    runs = {one.version: [(p.environment, p.role) for p in one.runs] for one in found.versions}
    assert runs == {first: [("production", "champion")], third: [("production", "canary")]}
    assert {(one.version, one.rows) for one in found.traffic} == {(first, 1), (third, 1)}
    assert {one.version for one in find(town, BOB).versions} == {first, second, third}

    done = ask(town)
    assert (done.how, [(one.rows, one.file) for one in done.removed]) == ("opened", [(1, "data/people.parquet.dvc")])
    assert done.pull is not None
    assert ask(town).how == "unchanged"
    said = (done.pull.body + done.pull.title).casefold()
    assert "data/clean is made by a stage" in said
    assert not [word for word in (ADA.casefold(), MARK, KEYS) if word.casefold() in said]
    oid = done.removed[0].content.decode().partition("md5: ")[2][:32]
    assert names_in(town.object(oid)) == [BOB, *OTHERS[1:]]  # others' rows, in their order

    town.merge(done.pull.head.branch)
    spec = load_application(town.root).retrain["m"]
    (cause,) = by_erasure(spec, "m", remembered_by(WorkTree(town.root), "m", third), town.now)
    assert cause.reason.endswith("(R-1): retrain by 2027-02-10")
    (job,) = town.keep().requests
    assert job.verdict.phase is Phase.FAILED  # main's data/clean still has her
    told = job.details["replaced"]
    files = ("samples.parquet", "evaluated.parquet", "reference.json")
    assert [(one["version"], one["path"]) for one in told] == [(v, f) for v in (first, third) for f in files]
    for record in (town.versions[0], town.versions[2]):
        new = with_replaced(record, map(ReplacedFile.model_validate, told))
        for path, street in (("samples.parquet", "street"), ("evaluated.parquet", "input_street")):
            before, after = (
                parquet.read_table(io.BytesIO(town.object(one.contents()[path].digest[4:]))).to_pylist()
                for one in (record, new)
            )
            assert after == [row for row in before if row[street] != MARK], "rows of others, with their answers"
        counted = [int(reference_of(town, one).parts[0].sketch.rows.sum()) for one in (record, new)]
        assert counted == [len(before), len(after)], "she is not counted"
    assert town.keep().requests[0].details["replaced"] == told, "nothing is subtracted twice"

    fourth = town.trained(BOB, *OTHERS[1:])
    assert not remembered_by(WorkTree(town.root), "m", fourth.version)
    (job,) = town.keep().requests
    assert job.verdict.phase is Phase.INCONCLUSIVE
    assert "runs in production" in job.verdict.reason
    gc(town)
    old = [record.contents()[path].digest[4:] for record in town.versions[:3:2] for path in files]
    assert not [oid for oid in old for store in town.stores if (store / oid[:2] / oid[2:]).exists()], "while it runs"
    town.deploy(fourth)
    town.pull()
    assert gc(town, delete=False).gone.objects.keys() == gc(town).gone.objects.keys()
    (job,) = town.keep().requests
    assert (job.verdict.phase, len(town.signed.events)) == (Phase.SUCCESSFUL, 1)
    assert town.keep().requests == ()  # nothing is signed twice

    place = town.place()
    events = heard(place, place.newest().policy())
    assert all(events.believed)
    assert [s.binding.result for s in events.all("erased")] == ["passed", "inconclusive", "failed", "failed"]
    told = json.dumps([s.details for s in events.all("erased")])
    assert audited(town) == ([True] * 4, [])
    reference, lacking = recorded_reference(town.root, town.versions[0])
    assert reference is not None, lacking
    assert len(reference.parts) == 2
    shutil.rmtree(town.root / "data")
    for where, raw in town.everything():
        for secret in (ADA, ADA.upper(), ADA.lower(), MARK, str(PAY), KEYS):
            assert secret.encode() not in raw, where
            assert secret not in told
    # Everybody else is where they were.
    assert {one.version for one in find(town, OTHERS[3]).versions} >= {second, fourth.version}
    last = find(town, ADA)
    assert (last.versions, last.unknown, last.verdict.phase) == ((), (), Phase.SUCCESSFUL)
    assert index(town) == (0, ())


@_BY_NIGHT
def test_what_was_killed_half_way_is_made_up_for(town: PeopleTown, monkeypatch: pytest.MonkeyPatch) -> None:
    from gitml.dvc.objects import Store

    merged(town)

    def ends(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as job:
        # The traffic is emptied and sample rows are written, and nothing is handed over.
        job.setattr("gitml.cijobs.erasing.gone_list", ends)
        with pytest.raises(KeyboardInterrupt):
            town.keep()
    assert town.signed.events == ()
    (done,) = town.keep().requests
    assert len(done.details["replaced"]) == 6, "as if nothing had happened"
    assert len(town.signed.events) == 1
    town.deploy(town.versions[-1])
    real, calls = Store._delete, list[str]()

    def dies(store: Store, oid: str) -> None:
        calls.append(oid)
        if len(calls) == 4:
            raise KeyboardInterrupt
        real(store, oid)

    monkeypatch.setattr(Store, "_delete", dies)
    with pytest.raises(KeyboardInterrupt):
        gc(town)
    monkeypatch.undo()
    assert gc(town).is_done
    assert gc(town).is_done


@_BY_NIGHT
def test_a_remote_that_is_away_is_named_and_comes_later(town: PeopleTown) -> None:
    merged(town)
    town.deploy(town.versions[-1])
    config = town.root / ".dvc/config"
    there = config.read_text()
    config.write_text(f"{there}['remote \"cold\"']\n    url = http://127.0.0.1:9/x\n")
    done = gc(town)
    assert [(state.store, bool(state.why)) for state in done.states][2:] == [("remote cold", True)]
    assert not done.is_done
    config.write_text(there)
    store = town.root.parent / "store"
    store.rename(store.with_name("unmounted"))
    assert [bool(state.why) for state in gc(town).states] == [False, True]
    store.with_name("unmounted").rename(store)
    assert gc(town).is_done


def test_a_name_is_one_person_s_and_the_command_is_main_s(town: PeopleTown, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as branch:
        text = GITML.replace("subjects:\n", "subjects:\n  command: cat > stolen\n")
        branch.setattr("governance.people_town.GITML", text)
        with pytest.raises(UsageError, match="other `subjects` in gitml"):
            ask(town)
        assert not (town.root / "stolen").exists()
        town.push({"gitml.yaml": text.replace("cat > stolen", 'cat > told; test -z "$SUBJECT_KEYS"')})
    monkeypatch.setenv("SUBJECT_KEYS", KEYS)
    with monkeypatch.context() as main:
        main.setattr("governance.people_town.GITML", (town.root / "gitml.yaml").read_text())
        done = ask(town)
    assert (town.root / "told").read_text() == f"{ADA}\n"
    town.push({"gitml.yaml": GITML})
    with pytest.raises(UsageError, match="about somebody else"):
        ask(town, BOB)
    for wrong in ("../x", "a b", "", "x" * 65, "R.lock"):
        with pytest.raises(UsageError, match="cannot name a request"):
            ask(town, ADA, wrong)

    # A request that names the data of others deletes nothing.
    second = town.versions[1].entries()["data/people.parquet.dvc"].outs[0]
    bad: dict[str, Any] = json.loads(done.erasure.content())
    bad |= {"data": {second.digest: second.path}, "objects": {second.digest[4:]: second.path}}
    town.push({"erasures/R-1.json": json.dumps(bad)})
    found = gc(town)
    assert second.digest[4:] not in found.gone.objects
    assert any("no index says that the person is in it" in text for text in found.gone.stays)


@_BY_NIGHT
def test_a_lost_key_is_no_answer(town: PeopleTown) -> None:
    merged(town)
    town.keys = new_key("2027a")
    found = find(town, ADA)
    assert found.verdict.phase is Phase.INCONCLUSIVE
    assert [text for text in found.unknown if "indexed with the key 2026a" in text]
    (job,) = town.keep().requests
    assert (job.verdict.phase, "the key 2026a is not here" in job.verdict.reason) == (Phase.INCONCLUSIVE, True)
    town.keys += f",{KEYS}"
    assert town.keep().requests[0].verdict.measurements["requests"] == 2


def test_who_signs_takes_nothing_that_does_not_fit_main(town: PeopleTown) -> None:
    """The job before has the keys of ids, and may be anybody's by then."""
    done = ask(town)
    assert done.pull
    town.merge(done.pull.head.branch)
    kept = keep_subjects(town.place(), town.traffic)
    good = json.loads(handed_over(kept, RUN).model_dump_json())
    (told, _, counts, *_) = good["requests"][0]["details"]["replaced"]
    first = town.versions[0]
    rows = parquet.read_table(io.BytesIO(town.object(first.contents()["samples.parquet"].digest[4:])))
    added = pa.concat_tables([rows.slice(0, 2), rows.slice(0, 1)])
    other = rows.slice(0, 2).set_column(rows.column_names.index("p"), "p", pa.array([0.1, 0.2]))

    def replaced(what: dict[str, Any], raw: bytes) -> dict[str, Any]:
        return {**what, "new": hashlib.sha256(raw).hexdigest(), "dvc": town.put(raw).digest, "size": len(raw)}

    def instead(table: pa.Table) -> dict[str, Any]:
        stream = io.BytesIO()
        parquet.write_table(table, stream)
        return replaced(told, stream.getvalue())

    more = json.loads(town.object(counts["dvc"][4:]))
    more["features"]["sketch"]["rows"][0] += 5

    def handed(**details: Any) -> dict[str, Any]:
        one = good["requests"][0]
        return {**good, "requests": [{**one, "details": {**one["details"], **details}}]}

    artifact = {**told, "path": "model.onnx", "old": first.files["model.onnx"].sha256}
    for wrong, why in (
        (handed(replaced=[instead(added)]), "is not some of what it has"),
        (handed(replaced=[instead(other)]), "is not some of what it has"),
        (handed(replaced=[instead(rows)]), "is not some of what it has"),
        (handed(replaced=[instead(rows.slice(0, 0))]), "is not some of what it has"),
        (handed(replaced=[replaced(counts, json.dumps(more).encode())]), "is not some of what it has"),
        (
            handed(replaced=[replaced(counts, town.object(first.contents()["reference.json"].digest[4:]))]),
            "is not some",
        ),
        (handed(replaced=[replaced(counts, b"{}")]), "no reference of format"),
        (handed(replaced=[artifact]), "not what .* has as samples or"),
        (handed(replaced=[{**told, "size": -1}]), "names what is no file"),
        (handed(replaced=[{**told, "dvc": f"md5:{'0' * 32}"}]), "not to be had"),
        (handed(request="R-2"), "main has no request R-2"),
        ({**handed(), "requests": [{**good["requests"][0], "result": "passed"}]}, "something of it is left"),
        ({**good, "run": "http://ci/2"}, "another run"),
        ({**good, "more": 1}, "Extra inputs"),
    ):
        (folder_of(town.root) / NAME).write_text(json.dumps(wrong))
        with pytest.raises((IntegrityError, UsageError), match=why):
            sign_erasures(town.place(), ErasureSigning(town.key, RUN))
    place = town.place()
    assert heard(place, place.newest().policy()).all("erased") == ()


@_BY_NIGHT
def test_a_swapped_index_is_not_believed(town: PeopleTown) -> None:
    for folder in (town.root / ".dvc/cache/gitml-subjects", town.root.parent / "store/gitml-subjects"):
        for path in folder.iterdir():
            path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert "is damaged" in find(town, ADA).unknown[0]


@_BY_NIGHT
def test_a_column_that_no_file_has_is_told(town: PeopleTown, monkeypatch: pytest.MonkeyPatch) -> None:
    text = GITML.replace("data/clean: [email]", "data/clean: [e-mail]")
    monkeypatch.setattr("governance.people_town.GITML", text)
    _, problems = index(town)
    assert problems
    assert "has no column 'e-mail'" in problems[0]


@_BY_NIGHT
def test_a_folder_of_tables_keeps_the_rows_of_others_to_the_byte(
    town: PeopleTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = GITML.replace("data/clean: [email]", "data/clean: [email], data/notes: [email]")
    monkeypatch.setattr("governance.people_town.GITML", text)
    mine = f'"first\r\nsecond, of {MARK}",{ADA} \r\n'
    lines = ["\ufeffnote,email\r\n", f'"a ""quoted"" one",{BOB}\r\n', mine, f"0.10,{OTHERS[0]}\r\n"]
    arrow = io.BytesIO()
    with pa.ipc.new_file(arrow, pa.schema([("email", pa.string())])) as writer:
        writer.write_table(pa.table({"email": [ADA, BOB]}))
    raw = "".join(lines).encode()
    files = {
        "a.csv": raw, "b.csv.gz": gzip.compress(raw, mtime=0), "c.arrow": arrow.getvalue(), "d.parquet": table(OTHERS),
    }  # fmt: skip
    listing = [{"md5": town.put(found).digest[4:], "relpath": name} for name, found in files.items()]
    size = sum(map(len, files.values()))
    oid = town.put(json.dumps(listing).encode(), ".dir").digest[4:]
    pointer = f"outs:\n- md5: {oid}\n  size: {size}\n  nfiles: 4\n  hash: md5\n  path: notes\n"
    town.push({"gitml.yaml": text, "data/notes.dvc": pointer})
    index(town)
    (found,) = (one for one in ask(town).removed if one.file == "data/notes.dvc")
    assert found.rows == 3
    told = dict(line.strip("- ").split(": ") for line in found.content.decode().splitlines()[1:])
    now = {one["relpath"]: one["md5"] for one in json.loads(town.object(told["md5"]))}
    assert now["d.parquet"] == listing[3]["md5"]
    kept = raw.replace(mine.encode(), b"")
    assert (town.object(now["a.csv"]), gzip.decompress(town.object(now["b.csv.gz"]))) == (kept, kept)
    assert pa.ipc.open_file(town.object(now["c.arrow"])).read_all().to_pydict() == {"email": [BOB]}
    assert int(told["size"]) == sum(len(town.object(oid)) for oid in now.values())


@_BY_NIGHT
def test_what_gitml_check_says_of_people(town: PeopleTown) -> None:
    text = GITML.replace("data/clean: [email]", "data/cleaned: [email]")
    town.push({"gitml.yaml": text, "erasures/R-2.json": '{"format": "gitml erasure 1", "request": "R-3"}'})
    pipeline = {"stages": {"s": {"cmd": "true", "outs": [{"samples.parquet": {"cache": False}}, "model.onnx"]}}}
    (town.root / "dvc.yaml").write_text(yaml.safe_dump(pipeline))
    report = check(town.root)
    (caution,) = (one for one in report.cautions if "rows of people" in one.message)
    assert caution.message == "samples.parquet has rows of people and lies in Git, where no erasure reaches them"
    told = [f"{one.file} {one.key}: {one.message}" for one in report.problems]
    assert "gitml.yaml subjects.data.data/cleaned: data/cleaned is not data of DVC, so nobody is found in it" in told
    assert "erasures/R-2.json : subject: Field required" in told


@_BY_NIGHT
def test_requests_of_one_day_build_on_each_other(town: PeopleTown) -> None:
    """The second starts from what the first left, also before either is signed."""
    branches = []
    for who, request in ((ADA, "R-1"), (BOB, "R-2"), (ADA, "R-3")):
        done = ask(town, who, request)
        assert done.pull
        branches.append(done.pull.head.branch)
    assert ask(town, f" {ADA.upper()}\u200b").how == "unchanged", "the same person, however the id is spelled"
    main = git(town.root, "rev-parse", "HEAD").strip()
    for number, branch in enumerate(branches, 1):
        git(town.root, "fetch", "-q", str(town.forge.remote), branch)
        path = f"erasures/R-{number}.json"
        text = git(town.root, "show", f"FETCH_HEAD:{path}")
        town.push({path: text})
    assert git(town.root, "rev-parse", "HEAD").strip() != main
    assert ask(town).how == "merged"
    done = town.keep().requests
    # The third has nothing to take out any more: whoever asks twice is not subtracted twice.
    assert [len(one.details["replaced"]) for one in done] == [6, 6, 0]
    first = town.versions[0]
    place = town.place()
    events = heard(place, place.newest().policy()).all("erased")
    for order in (events, [*reversed(events)]):
        now = with_replaced(first, replacements_of(one.details for one in order))
        samples = parquet.read_table(io.BytesIO(town.object(now.contents()["samples.parquet"].digest[4:])))
        assert samples.num_rows == 8 - 2
        features = reference_of(town, now).features
        assert features
        assert int(features.sketch.rows.sum()) == 8 - 2
    git(town.root, "fetch", "-q", str(town.forge.remote), "gitml-ledger:gitml-ledger")
    unneeded = {u.oid for p in plan(town.root, GcCall(print, min_age=timedelta())) for u in p.unneeded}
    assert not unneeded & {told["dvc"][4:] for one in done for told in one.details["replaced"]}
    again = town.keep().requests
    assert [one.details["replaced"] for one in again] == [one.details["replaced"] for one in done]


@_BY_NIGHT
def test_after_its_day_what_stays_is_a_failure(town: PeopleTown) -> None:
    merged(town)
    assert town.keep().requests[0].verdict.phase is Phase.INCONCLUSIVE
    town.now += timedelta(days=120)
    (job,) = town.keep().requests
    assert job.verdict.phase is Phase.FAILED
    assert job.verdict.reason.startswith("the time for it ended on 2027-02-10")


@_BY_NIGHT
def test_what_lies_in_git_is_named_where_it_tells_of_single_people(town: PeopleTown) -> None:
    raw = reference_file(sample_rows([ADA, BOB, *OTHERS]))
    told = town.trained(ADA, *OTHERS, in_git=raw)
    quiet = version_reference_bytes(recoded_reference(read_version_reference(raw)))
    silent = town.trained(ADA, BOB, in_git=quiet)
    index(town)
    merged(town)
    town.deploy(town.versions[-1])
    gc(town)
    (job,) = town.keep().requests
    if job.verdict.phase is not Phase.SUCCESSFUL:
        (job,) = town.keep().requests
    assert job.details["in_git"] == [f"reference.json of {told.reference}"]
    assert silent.reference not in job.details["in_git"][0]
    assert job.verdict.phase is Phase.SUCCESSFUL, job.verdict.reason
    assert job.verdict.reason.endswith("what was committed stays in every clone")
    assert town.signed.phase is Phase.SUCCESSFUL
