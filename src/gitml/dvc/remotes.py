"""What the DVC remotes of a commit hold, without a clone: for whoever only fetches by digest."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dvc.config import Config
from dvc.fs import get_cloud_fs
from dvc_data.hashfile.db import get_odb

from gitml.dvc.addresses import RemotePlace
from gitml.dvc.errors import translated
from gitml.dvc.lockentries import Content
from gitml.dvc.objects import OID, Store
from gitml.dvc.safety import check_listing, refuse_escape
from gitml.errors import IntegrityError, OutsideError


@dataclass(frozen=True)
class Depot:
    """The remotes, the default one first. ``notes`` go with the error of one that cannot be reached."""

    stores: tuple[Store, ...]
    notes: tuple[str, ...] = ()

    def fetch(self, content: Content, target: Path) -> bool:
        """Write the file or folder ``content`` to ``target``, whole or not at all; False if no remote has it.

        What is written agrees with DVC's digest; the caller holds it against its SHA-256. Raises IntegrityError for
        what is damaged or hostile, OutsideError when a remote cannot be reached and no other has it.
        """
        kind, _, oid = content.digest.partition(":")
        if kind != "md5" or not OID.fullmatch(oid):
            raise IntegrityError(f"{content.path} has no digest to fetch it by: {content.digest[:80]!r}")
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=target.parent, prefix=".fetch-"))
        try:
            found = scratch / "it"
            if not (self._folder if oid.endswith(".dir") else self._file)(oid, found, content.path):
                return False
            if target.is_dir():
                shutil.rmtree(target)
            os.replace(found, target)
            return True
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _file(self, oid: str, target: Path, _: str) -> bool:
        failures: list[OutsideError] = []
        for store in self.stores:
            try:
                if store.fetch(oid, target):
                    return True
            except OutsideError as exc:
                failures.append(exc)
        if self.notes and not any(isinstance(exc, IntegrityError) for exc in failures):
            # A server may call "not for you" what it calls "not there".
            said = failures[0].message if failures else f"no DVC remote gave {oid}"
            raise OutsideError(said, "; ".join(self.notes))
        if failures:
            raise failures[0]
        return False

    def _folder(self, oid: str, target: Path, name: str) -> bool:
        listing = target.with_name("listing")
        if not self._file(oid, listing, name):
            return False
        raw = listing.read_bytes()
        check_listing(raw, name)
        target.mkdir()
        for entry in json.loads(raw):
            refuse_escape(entry["relpath"], f"the listing of {name}")
            place = target / entry["relpath"]
            place.parent.mkdir(parents=True, exist_ok=True)
            if not self._file(entry["md5"], place, name):
                return False
        return True


@translated
def depot(places: Sequence[RemotePlace]) -> Depot:
    """The remotes at ``places``: nothing of any DVC configuration counts but what these say."""
    return Depot(tuple(map(_store, places)), tuple(place.note for place in places if place.note))


@translated
def cache_depot(root: Path) -> Depot:
    """What DVC's cache of the clone around ``root`` holds; nothing where no DVC was ever set up."""
    top = next((folder for folder in (root, *root.parents) if (folder / ".dvc").is_dir()), None)
    if top is None:
        return Depot(())
    told = Config(str(top / ".dvc"), validate=False).get("cache", {}).get("dir")
    folder = Path(top, ".dvc", told or "cache")
    return Depot((_store(RemotePlace("cache", {"url": str(folder)})),) if folder.is_dir() else ())


def _store(place: RemotePlace) -> Store:
    cls, config, path = get_cloud_fs({}, **place.settings)
    fs = cls(**config)
    return Store(f"remote {place.name}", get_odb(fs, fs.join(path, "files", "md5"), hash_name="md5", **config))
