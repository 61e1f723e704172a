"""Objects of a real cache: deleted one by one, listings first."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dvc_data.hashfile.db import HashFileDB
from dvc_objects.fs import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from gitml.dvc.objects import Store, modified_of, names_in
from gitml.dvc.repository import Dvc


def test_a_killed_deletion_leaves_no_listing_without_its_files(trained: Path) -> None:
    with Dvc(trained) as dvc:
        store = dvc.store()
        before = store.listed()
        listings = {oid for oid in before if oid.endswith(".dir")}
        assert listings
        deletion = store.delete(before)
        gone = {next(deletion) for _ in range(len(listings))}  # and no further: as if killed here
        assert gone == listings
        assert set(store.listed()) == set(before) - listings


def test_read_refuses_bytes_that_are_not_what_the_name_says(trained: Path) -> None:
    with Dvc(trained) as dvc:
        store = dvc.store()
        oid = next(iter(store.listed()))
        raw = store.read(oid)
        assert raw is not None
        assert hashlib.md5(raw, usedforsecurity=False).hexdigest() == oid.removesuffix(".dir")
        path = trained / ".dvc/cache/files/md5" / oid[:2] / oid[2:]
        path.unlink()
        path.write_bytes(raw + b" ")
        assert store.read(oid) is None
        assert store.read("0" * 32) is None


def test_storage_that_is_no_disk_is_listed_read_and_deleted_too() -> None:
    odb = HashFileDB(MemoryFileSystem(global_store=False), "/store/files/md5")
    raw = b"[]"
    listing = hashlib.md5(raw, usedforsecurity=False).hexdigest() + ".dir"
    for oid in (listing, "0" * 32, "1" * 32):
        odb.fs.makedirs(odb.fs.parent(odb.oid_to_path(oid)), exist_ok=True)
        odb.fs.pipe_file(odb.oid_to_path(oid), raw)
    odb.fs.pipe_file("/store/files/md5/README", b"no object")
    store = Store("remote memory", odb)
    listed = store.listed()
    assert set(listed) == {listing, "0" * 32, "1" * 32}
    assert listed[listing].size == 2
    assert store.read(listing) == raw
    assert list(store.delete([listing, "1" * 32, "f" * 32])) == [listing, "1" * 32, "f" * 32]
    assert set(store.listed()) == {"0" * 32}


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ({"LastModified": datetime(1970, 1, 2, tzinfo=UTC)}, 86400),
        ({"updated": "1970-01-02T00:00:00+00:00"}, 86400),
        ({"mtime": 5.5}, 5.5),
        ({"updated": "yesterday"}, None),
        ({}, None),
    ],
)
def test_each_storage_tells_the_time_in_its_own_way(told: dict[str, object], seconds: float | None) -> None:
    assert modified_of(told) == seconds


@pytest.mark.nightly
@given(st.lists(st.from_regex(r"[0-9a-f]{32}(\.dir)?", fullmatch=True)), st.sampled_from(["\n", ": ", '","', " md5:"]))
def test_names_are_found_whatever_stands_around_them(oids: list[str], between: str) -> None:
    assert names_in(between.join(["", *oids, ""]).encode()) == set(oids)


@given(st.from_regex(r"[0-9a-f]{33,64}", fullmatch=True))
def test_longer_digests_are_no_names(digest: str) -> None:
    assert not names_in(f"sha256: {digest}\n".encode())
