"""People in data, models and traffic, on a forge: three versions, of which the first and the third saw Ada.

Records and objects of DVC are written as a training would leave them; nothing is trained.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import yaml

from conftest import dvc, git
from gitml.cijobs.erasing import SubjectsKept, handed_over, keep_subjects
from gitml.cijobs.erasurefile import write_erasures
from gitml.cijobs.erasuresigning import ErasureSigning, SignedErasures, sign_erasures
from gitml.cijobs.handover import folder_of
from gitml.control.place import Place
from gitml.dvc.lockentries import Content, Entry
from gitml.dvc.repository import Dvc
from gitml.evidence.keys import SigningKey, generate, signing_key
from gitml.forges.memory import MemoryForge
from gitml.git.tree import WorkTree
from gitml.governance.dataversions import SubjectData
from gitml.governance.subjectfind import TrafficCall
from gitml.governance.subjectids import needed_ring, new_key
from gitml.monitoring.reference import Part, made_of, version_reference_bytes
from gitml.registry.erasures import erased_objects
from gitml.registry.lineage import lineage_digest
from gitml.registry.record import Record, name_of
from gitml.spec import parse_application
from gitml.traffic.exchange import Arm, Exchange
from gitml.traffic.labels import Label, LabelStore
from gitml.traffic.predictionlog import LogLimits, LogOrigin, PredictionLog

ADA, BOB = "Ada.Lovelace@example.com", "bob@example.com"
# What nobody else has: it may be nowhere after an erasure.
MARK, PAY = "ada-lives-in-marylebone", 987654.25
KEYS, RUN = new_key("2026a"), "http://ci/1"
START = datetime(2026, 11, 2, tzinfo=UTC)
GITML = """\
application: people
subjects:
  data: {data/people.parquet: [email], data/clean: [email]}
  traffic: {features: [contact]}
retrain: {m: {causes: [erasure]}}
models:
  m: {artifact: model.onnx, metrics: metrics.json, samples: samples.parquet}
"""
OTHERS = [f"somebody-{number}@example.com" for number in range(6)]


def table(names: Sequence[str]) -> bytes:
    """Everybody has a street and pay; that of Ada is the mark, and hers is the most."""
    hers = {True: (MARK, PAY), False: ("x", 30_000.5)}
    rows = [
        dict(zip(("email", "age", "street", "pay"), (n, len(n), *hers[n.casefold() == ADA.casefold()]), strict=True))
        for n in names
    ]
    stream = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), stream)
    return stream.getvalue()


def sample_rows(names: Sequence[str]) -> bytes:
    """What a health check compares: inputs and answers, and no id."""
    rows = [{**row, "p": row["age"] / 100} for row in parquet.read_table(io.BytesIO(table(names))).to_pylist()]
    stream = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows).drop_columns(["email"]), stream)
    return stream.getvalue()


def evaluated_rows(raw: bytes) -> bytes:
    """The same rows, as estimates of performance take them."""
    rows, stream = parquet.read_table(io.BytesIO(raw)), io.BytesIO()
    named = rows.rename_columns([f"{'output' if name == 'p' else 'input'}_{name}" for name in rows.column_names])
    parquet.write_table(named.append_column("label", pa.array([1.0] * rows.num_rows)), stream)
    return stream.getvalue()


def reference_file(raw: bytes) -> bytes:
    """What live traffic is held against; the answers are of the same rows."""
    rows = parquet.read_table(io.BytesIO(raw))
    return version_reference_bytes(made_of(Part(rows, ["age", "street", "pay"]), Part(rows, ["p"])))


def names_in(raw: bytes) -> list[str]:
    return [str(name) for name in parquet.read_table(io.BytesIO(raw))["email"].to_pylist()]


@dataclass
class PeopleTown:
    forge: MemoryForge
    root: Path
    key: SigningKey
    now: datetime = START + timedelta(days=10)
    keys: str = KEYS
    versions: list[Record] = field(default_factory=list)
    signed: SignedErasures = field(default_factory=SignedErasures)
    # Where traffic is, if not on this disk.
    log: str = ""
    is_made: bool = True

    @classmethod
    def create(cls, folder: Path) -> PeopleTown:
        secret, public = generate()
        forge = MemoryForge.create(folder / "forge", "ada/people", now=lambda: START + timedelta(days=10))
        key = {"public": public, "owner": "CI", "purposes": ["erased"], "from": "2026-01-01"}
        policy = {
            "environments": {"production": {}},
            "keys": {"erasures": key},
            "retention": {"requests": "400d"},
        }
        forge.as_("ada").acts.write({"gitml.yaml": GITML, "policy.yaml": yaml.safe_dump(policy)})
        git(folder, "clone", "-q", str(forge.remote), str(folder / "app"))
        town = cls(forge, folder / "app", signing_key(secret))
        dvc(town.root, "init")
        dvc(town.root, "remote", "add", "-d", "store", str(folder / "store"))
        town.is_made = False
        first = town.trained(ADA, BOB, *OTHERS)
        town.trained(BOB, *OTHERS)
        third = town.trained(BOB, ADA.upper(), *OTHERS[1:])
        town.is_made = True
        town.deploy(first, canary=third)
        return town

    @property
    def stores(self) -> tuple[Path, Path]:
        return self.root / ".dvc/cache/files/md5", self.root.parent / "store/files/md5"

    def put(self, raw: bytes, kind: str = "") -> Content:
        """An object in the cache and on the remote."""
        oid = hashlib.md5(raw, usedforsecurity=False).hexdigest() + kind
        for store in self.stores:
            (store / oid[:2]).mkdir(parents=True, exist_ok=True)
            (store / oid[:2] / oid[2:]).write_bytes(raw)
        return Content("", f"md5:{oid}", len(raw))

    def object(self, oid: str) -> bytes:
        return (self.stores[1] / oid[:2] / oid[2:]).read_bytes()

    def trained(self, *names: str, in_git: bytes = b"") -> Record:
        """A version trained on these people, on main with the data. ``in_git``: a reference that lies there."""
        people = self.put(table(names))
        halves = [table(names[::2]), table(names[1::2])]
        listing = [{"md5": self.put(raw).digest[4:], "relpath": f"{n}.parquet"} for n, raw in enumerate(halves)]
        clean = self.put(json.dumps(listing).encode(), ".dir")
        return self.recorded(people.digest, clean.digest, json.dumps(names).encode(), in_git)

    def recorded(self, people: str, clean: str, seen: bytes, in_git: bytes = b"") -> Record:
        """A model remembers something of whom it saw."""
        raw = sample_rows(json.loads(seen))
        model = self.put(b"model of " + seen)
        made = {"samples.parquet": raw, "evaluated.parquet": evaluated_rows(raw), "reference.json": reference_file(raw)}
        if in_git:
            made["reference.json"] = in_git
        named = [path for path in made if not (in_git and path == "reference.json")]
        kept = [Content(path, (found := self.put(made[path])).digest, found.size) for path in named]
        data = Content("data/people.parquet", people, 1)
        cleaned = Content("data/clean", clean, 2, 2)
        outs = (Content("model.onnx", model.digest, model.size), *kept)
        entries = {
            "data/people.parquet.dvc": Entry((), (), {}, (data,)),
            "clean": Entry(("python clean.py",), (data,), {}, (cleaned,)),
            "train": Entry(("python train.py",), (cleaned,), {}, outs),
        }
        digest, created = lineage_digest("m", entries), f"2026-10-01T00:00:{len(self.versions):02}Z"
        files = {
            "model.onnx": {"sha256": hashlib.sha256(seen).hexdigest(), "size": 9},
            **{path: {"sha256": hashlib.sha256(one).hexdigest(), "size": len(one)} for path, one in made.items()},
        }
        record = Record.model_validate({
            "model": "m", "version": name_of(digest, created), "digest": digest, "created": created, "origin": "ci",
            "artifact": "model.onnx", "files": files, "roles": {path.partition(".")[0]: path for path in made},
            "metrics": {"auc": {"value": 0.7}}, "stages": {name: entry.to_dict() for name, entry in entries.items()},
        })  # fmt: skip
        self.versions.append(record)
        lock = {"clean": entries["clean"], "train": entries["train"]}
        self.push({
            **({"reference.json": in_git.decode()} if in_git else {}),
            f"models/m/versions/{record.version}.json": record.to_json(),
            "data/people.parquet.dvc": f"outs:\n- md5: {people[4:]}\n  size: 1\n  hash: md5\n  path: people.parquet\n",
            "dvc.lock": yaml.safe_dump({"schema": "2.0", "stages": {n: _locked(e) for n, e in lock.items()}}),
        })  # fmt: skip
        return record

    def deploy(self, champion: Record, canary: Record | None = None) -> None:
        pins = [f'champion: {{version: {champion.version}, digest: "{champion.files["model.onnx"].sha256}"}}']
        if canary:
            sha256 = canary.files["model.onnx"].sha256
            pins.append(f'canary: {{version: {canary.version}, digest: "{sha256}", weight: 10}}')
        self.push({"models/m/production.yaml": "\n".join(pins) + "\n"})

    def push(self, files: dict[str, str]) -> None:
        self.forge.as_("ada").acts.write(files)
        self.pull()

    def pull(self) -> None:
        """Once for all that the town begins with."""
        if self.is_made:
            git(self.root, "pull", "-q", str(self.forge.remote), "main")

    def place(self, login: str = "ada") -> Place:
        return Place(
            self.root, self.forge.as_(login), self.forge.settings(login), clock=lambda: self.now,
            secret=lambda name: self.keys if name == "SUBJECT_KEYS" else "",
        )  # fmt: skip

    @contextmanager
    def data(self) -> Iterator[SubjectData]:
        subjects = parse_application(GITML.encode()).subjects
        assert subjects is not None
        with Dvc(self.root) as found:
            ring = needed_ring(subjects, {"SUBJECT_KEYS": self.keys})
            yield SubjectData(found, subjects, ring, erased_objects(WorkTree(self.root)))

    @property
    def traffic(self) -> TrafficCall:
        spool = self.root.parent / "spool" if self.log else None
        return TrafficCall(self.log or str(self.root.parent / "traffic"), spool, ["m"])

    def serve(self, day: int = 0) -> None:
        """Ada is in the canary, by her unit and, asked for by another, as an input."""
        when = (START + timedelta(days=day)).timestamp()
        origin = LogOrigin(now=lambda: when + 7200, host="h")
        at = {"spool": self.traffic.spool}
        log = PredictionLog(self.traffic.folder, limits=LogLimits(window=0.02), origin=origin, **at)
        first, _, third = (one.version for one in self.versions[:3])
        arms = [
            Arm("m", "production", "champion", first, 90.0, "e"),
            Arm("m", "production", "canary", third, 10.0, "e"),
        ]
        for number, (who, contact) in enumerate([(BOB, BOB), (ADA, ADA.lower()), (BOB, ADA), (OTHERS[0], "")]):
            arm, features = arms[number % 2], {"contact": [contact], "street": [MARK if ADA in (who, contact) else "x"]}
            name = f"d{day}-{number}"
            log.put(Exchange(name, "", who, arm, features, {"p": np.array([0.5])}, 0.004, when + number, when + number))
        log.close(*([30] if self.log else []))
        labels = LabelStore(self.traffic.folder, **at)
        labels.add("m", [Label(f"d{day}-{number}", 1.0) for number in range(4)])
        labels.close()

    def keep(self) -> SubjectsKept:
        """Both jobs; what the second one signed is in ``signed``."""
        done = keep_subjects(self.place(), self.traffic)
        write_erasures(folder_of(self.root), handed_over(done, RUN))
        self.signed = sign_erasures(self.place(), ErasureSigning(self.key, RUN))
        self.now += timedelta(minutes=5)
        return done

    def merge(self, branch: str) -> None:
        git(self.root, "fetch", "-q", str(self.forge.remote), branch)
        git(self.root, "push", "-q", str(self.forge.remote), "FETCH_HEAD:refs/heads/main")
        self.pull()

    def everything(self) -> Iterator[tuple[str, bytes]]:
        """All bytes that can be reached: caches, remotes, indexes, Git objects of both sides, traffic read as rows."""
        for top in (self.root / ".dvc", self.root.parent / "store"):
            for path in (path for path in top.rglob("*") if path.is_file()):
                yield from _texts(path)
        for path in Path(self.traffic.folder).rglob("*"):
            if path.is_file():
                yield from _texts(path)
        for place in (self.root, self.forge.remote):
            words = ["git", "cat-file", "--batch", "--batch-all-objects"]
            yield f"Git in {place}", subprocess.run(words, cwd=place, capture_output=True, check=True).stdout


def _texts(path: Path) -> Iterator[tuple[str, bytes]]:
    raw = path.read_bytes()
    yield str(path), raw
    if raw[:4] == b"PAR1":
        rows = parquet.read_table(io.BytesIO(raw)).to_pylist()
        yield f"{path} as rows", json.dumps(rows, default=str).encode()


def _locked(entry: Entry) -> dict[str, object]:
    def items(contents: Sequence[Content]) -> list[dict[str, object]]:
        return [{"path": c.path, "hash": "md5", "md5": c.digest[4:], "size": c.size} for c in contents]

    return {"cmd": entry.cmd[0], "deps": items(entry.deps), "outs": items(entry.outs)}
