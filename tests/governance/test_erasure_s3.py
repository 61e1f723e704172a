"""A person found and erased where a DVC remote and the traffic lie on a real S3 server."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from conftest import dvc
from gitml.engines.places import place_of
from gitml.verdict import Phase
from governance.people_town import ADA, BOB, MARK, OTHERS, PeopleTown
from governance.test_erasure import ask, find, gc, index
from objectstore import folder_url, object_store

pytestmark = [
    pytest.mark.nightly, pytest.mark.slow, pytest.mark.s3,
    # Libraries of the cloud's warn of each other.
    pytest.mark.filterwarnings("default"),
]  # fmt: skip


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PeopleTown]:
    pytest.importorskip("dvc_s3", reason="`make test-s3` installs what DVC needs for S3")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with object_store("data", "traffic") as port:
        made = PeopleTown.create(tmp_path)
        dvc(made.root, "remote", "add", "cloud", "s3://data/dvc")
        for key, value in (
            ("endpointurl", f"http://127.0.0.1:{port}"), ("access_key_id", "testing"),
            ("secret_access_key", "testing"), ("region", "us-east-1"),
        ):  # fmt: skip
            dvc(made.root, "remote", "modify", "--local", "cloud", key, value)
        dvc(made.root, "remote", "default", "cloud")
        made.log = folder_url("traffic", port)
        push(made)
        yield made


def push(town: PeopleTown) -> None:
    """What the local remote has is on the one in the cloud too."""
    with town.data() as data:
        cloud = next(store for store in data.stores if store.name == "remote cloud")
        for path in town.stores[1].glob("*/*"):
            oid = path.parent.name + path.name
            if not cloud.has(oid):
                cloud.put(oid, path)


def objects(town: PeopleTown) -> Iterator[tuple[str, bytes]]:
    """All bytes in both buckets, tables as rows too."""
    for url in (town.log, town.log.replace("@traffic/log", "@data/dvc")):
        place = place_of(url)
        for entry in place.files():
            with (place / entry.name).filesystem.open_input_file((place / entry.name).path) as stream:
                raw = stream.read()
            yield entry.name, raw
            if raw[:4] == b"PAR1":
                yield entry.name, json.dumps(parquet.read_table(io.BytesIO(raw)).to_pylist(), default=str).encode()


def test_find_erase_and_gc_on_s3(town: PeopleTown) -> None:
    assert index(town)[1] == ()
    town.serve()
    first, _, third = (one.version for one in town.versions)
    found = find(town, ADA)
    assert ({one.version for one in found.versions}, found.unknown) == ({first, third}, ())
    assert {(one.version, one.rows) for one in found.traffic} == {(first, 1), (third, 1)}
    assert [where for where, raw in objects(town) if MARK.encode() in raw], "it is there before"

    done = ask(town)
    assert done.pull
    town.merge(done.pull.head.branch)
    fourth = town.trained(BOB, *OTHERS[1:])
    push(town)
    (job,) = town.keep().requests
    assert {one["version"] for one in job.details["replaced"]} == {first, third}
    assert sum(job.traffic.requests.values()) == 2
    town.deploy(fourth)
    assert gc(town).is_done
    (job,) = town.keep().requests
    assert (job.verdict.phase, len(town.signed.events)) == (Phase.SUCCESSFUL, 1), job.verdict.reason
    assert town.keep().requests == ()
    for where, raw in objects(town):
        for secret in (ADA, ADA.upper(), ADA.lower(), MARK):
            assert secret.encode() not in raw, where
    assert (find(town, ADA).versions, find(town, ADA).verdict.phase) == ((), Phase.SUCCESSFUL)
    assert {one.version for one in find(town, OTHERS[3]).versions} >= {fourth.version}
