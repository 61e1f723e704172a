"""What the DVC remotes of a commit hold, without a clone: for whoever only fetches by digest."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.config import Config
from dvc.exceptions import DvcException

from gitml.dvc.errors import as_ours
from gitml.dvc.lockentries import Content
from gitml.dvc.objects import OID, Store
from gitml.dvc.repository import Dvc
from gitml.dvc.safety import check_listing, refuse_escape
from gitml.errors import IntegrityError, OutsideError, UsageError
from gitml.files import write_file


@dataclass(frozen=True)
class Depot:
    """The remotes, the default one first."""

    stores: tuple[Store, ...]

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


@contextmanager
def depot(folder: Path, config: bytes) -> Iterator[Depot]:
    """The remotes that ``config`` (the bytes of .dvc/config) names. DVC's own files lie below ``folder``.

    Of the configuration nothing but the remotes counts. Credentials come from the environment, from this machine's
    configuration of DVC, or from ``folder``/.dvc/config.local. Raises UsageError when there is no remote to use.
    """
    given = folder / "main.config"
    write_file(given, config)
    try:
        read = Config.load_file(str(given))
    except DvcException as exc:
        raise as_ours(exc) from exc
    remotes: dict[str, Any] = {name: dict(remote) for name, remote in read.get("remote", {}).items()}
    if not remotes:
        raise UsageError("main names no DVC remote", "add one: dvc remote add --default NAME URL, by a pull request")
    for name, remote in remotes.items():
        _refuse_relative(name, str(remote.get("url", "")))
    write_file(folder / ".dvc" / "config", b"[core]\n    no_scm = true\n    analytics = false\n")
    first = read.get("core", {}).get("remote")
    order = sorted(remotes, key=lambda name: (name != first, name))
    core = {"no_scm": True, "site_cache_dir": str(folder / "site"), "remote": order[0]}
    with Dvc(folder, {"core": core, "remote": remotes}) as dvc:
        yield Depot(tuple(dvc.store(name) for name in order))


def _refuse_relative(name: str, url: str) -> None:
    if not url or not (re.match(r"[a-z0-9+]+://", url) or url.startswith(("/", "~")) or re.match(r"[A-Za-z]:", url)):
        raise UsageError(
            f"the DVC remote {name} lies at {url!r}, a place inside a clone, and here is none",
            "give it an absolute path or a URL: dvc remote modify NAME url URL",
        )
