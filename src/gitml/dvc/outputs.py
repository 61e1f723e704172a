"""The outputs of stages, brought back from DVC's cache and remotes, each byte checked before it is used."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException

from gitml.dvc.lockentries import Content, Entry
from gitml.dvc.objects import Store
from gitml.dvc.safety import check_listing, refuse_escape, refuse_symlinks
from gitml.dvc.stages import commands_of, is_params, params_of
from gitml.errors import IntegrityError
from gitml.files import copy_file


class Outputs:
    """Works on DVC's own stages and outputs, for ``gitml.dvc.repository`` alone."""

    def __init__(self, root: Path, repo: Any) -> None:
        self.root = root
        self._repo = repo

    def relative(self, item: Any) -> str:
        """The path below ``root``, or the URL, of a dependency or output."""
        if hasattr(item, "def_repo"):  # `dvc import`: a path in another repository
            return f"{item.def_repo['url']}#{item.def_path}"
        path = str(item.def_path)
        # `dvc import-url /data/x`, and `remote://` of a folder here: no place that each clone sees from where it lies.
        if item.protocol != "local" or os.path.isabs(path) or "://" in path:
            return path
        return Path(os.path.relpath(item.fs_path, self.root)).as_posix()

    def digest(self, item: Any) -> str | None:
        """``md5:…``, or the commit of what `dvc import` brought; None if DVC does not know it yet."""
        if hasattr(item, "def_repo"):
            commit = item.def_repo.get("rev_lock")
            return f"commit:{commit}" if commit else None
        return f"{item.hash_info.name}:{item.hash_info.value}" if item.hash_info else None

    def content(self, item: Any) -> Content:
        meta = item.meta
        size = (meta.size if meta else None) or 0
        files = (meta.nfiles if meta else None) or 0
        return Content(self.relative(item), self.digest(item) or "", size, files)

    def entry(self, stage: Any, deps: Iterable[Content], outs: Iterable[Content] = ()) -> Entry:
        always = bool(stage.always_changed)
        params = params_of(stage, self.relative)
        return Entry(commands_of(stage), tuple(sorted(deps)), params, tuple(sorted(outs)), always)

    def deps(self, stage: Any) -> list[Content]:
        return [self.content(dep) for dep in stage.deps if not is_params(dep)]

    def keep(self, stage: Any) -> None:
        """Outputs with ``cache: false`` live in Git; a copy in the cache lets an earlier run be restored."""
        for out in stage.outs:
            target = Path(self._repo.cache.local.oid_to_path(out.hash_info.value))
            if not out.use_cache and not target.exists() and Path(out.fs_path).is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                copy_file(Path(out.fs_path), target)

    def take(self, out: Any, content: Content, place: Path) -> None:
        """Put the file or folder at ``place``, whose bytes are known to be right, where the cache keeps ``content``."""
        if content.digest.endswith(".dir"):
            if place == Path(out.fs_path):
                out.commit(relink=False)
            return
        target = Path(self._repo.cache.local.oid_to_path(content.digest.partition(":")[2]))
        target.parent.mkdir(parents=True, exist_ok=True)
        copy_file(place, target)

    def restore(self, stage: Any) -> bool:
        """From the cache or the remote into the workspace; False if they are to be had nowhere."""
        self.refuse_links(stage)
        if stage.is_repo_import and any(out.changed_cache() for out in stage.outs):
            self._fetch_import(stage)
        self._fetch_listings(stage)
        self._check_listings(stage)
        cached = [out for out in stage.outs if out.use_cache]
        if any(out.is_dir_checksum and not self._listing(out).exists() for out in cached):
            return False
        if any(out.changed_cache() for out in cached) and not self._fetch(stage, cached):
            return False
        if not all(self._put_back(out) for out in stage.outs if not out.use_cache):
            return False
        with self._repo.lock:
            for out in cached:
                out.checkout(force=True)
        return not any(out.status() for out in stage.outs)

    def _put_back(self, out: Any) -> bool:
        if not out.status():
            return True
        kept = Path(self._repo.cache.local.oid_to_path(out.hash_info.value))
        if not kept.is_file():
            return False
        copy_file(kept, Path(out.fs_path))
        return True

    def _fetch(self, stage: Any, outs: Sequence[Any]) -> bool:
        """Get what the cache lacks, and hold each object against its own digest before anybody reads it."""
        if not self._has_remote(outs):
            return False
        lacking = {oid: name for out in outs for oid, name in self._objects(out).items() if not self._in_cache(oid)}
        for out in outs:
            wanted = [info for infos in out.get_used_objs().values() for info in infos]
            self._pull(wanted, lacking, out.remote)
        return not any(out.changed_cache() for out in outs)

    def _fetch_listings(self, stage: Any) -> None:
        for out in stage.outs:
            if out.use_cache and out.is_dir_checksum and self._has_remote([out]) and not self._listing(out).exists():
                name = f"the listing of {self.relative(out)}"
                self._pull([out.hash_info], {out.hash_info.value: name}, out.remote)

    def _pull(self, wanted: Sequence[Any], lacking: Mapping[str, str], remote: str | None) -> None:
        """``lacking``: digest → name for people of what the cache does not have."""
        with suppress(DvcException):
            odb = self._repo.cloud.get_remote_odb(name=remote, hash_name="md5")
            if odb.fs.protocol == "local":
                # DVC looks into objects of a remote on disk, deletes the wrong ones and calls them missing.
                for oid, name in lacking.items():
                    _check_file(Path(odb.oid_to_path(oid)), oid, name)
            self._repo.cloud.pull(list(wanted), odb=odb)
        for oid, name in lacking.items():
            _check_file(Path(self._repo.cache.local.oid_to_path(oid)), oid, name, remove=True)

    def _has_remote(self, outs: Sequence[Any]) -> bool:
        return bool(self._repo.config["remote"]) or any(out.remote for out in outs)

    def on_remote(self, out: Any, content: Any) -> bool:
        """Whether the output's remote has ``content``; its bytes are checked when they are fetched."""
        if not self._has_remote([out]):
            return False
        kind, _, value = content.digest.partition(":")
        refuse_escape(value, f"the entry of {content.path}")
        odb = self._repo.cloud.get_remote_odb(name=out.remote, hash_name=kind)
        return bool(odb.exists(value))

    def listed(self, out: Any, content: Content) -> dict[str, str] | None:
        """The files of the folder ``content``, MD5 by place in it; None if its listing is to be had nowhere."""
        kind, _, value = content.digest.partition(":")
        refuse_escape(value, f"the entry of {content.path}")
        raw = Store("cache", self._repo.cache.local).read(value)
        if raw is None and out.stage.is_repo_import:
            self._fetch_import(out.stage)
            raw = Store("cache", self._repo.cache.local).read(value)
        elif raw is None and self._has_remote([out]):
            remote = self._repo.cloud.get_remote_odb(name=out.remote, hash_name=kind)
            raw = Store("remote", remote).read(value)
        if raw is None:
            return None
        check_listing(raw, content.path)
        return {entry["relpath"]: entry["md5"] for entry in json.loads(raw)}

    def _fetch_import(self, stage: Any) -> None:
        """`dvc push` leaves out what `dvc import` brought: whoever needs it takes it from where it was imported."""
        self._repo.fetch(targets=[str(stage.path)])

    def _objects(self, out: Any) -> dict[str, str]:
        """Digest → path of every file of the output, and of its listing."""
        path = self.relative(out)
        found = {out.hash_info.value: path}
        if out.is_dir_checksum and self._listing(out).exists():
            entries = json.loads(self._listing(out).read_bytes())
            found |= {entry["md5"]: f"{path}/{entry['relpath']}" for entry in entries}
        return found

    def _in_cache(self, oid: str) -> bool:
        return Path(self._repo.cache.local.oid_to_path(oid)).exists()

    def _listing(self, out: Any) -> Path:
        refuse_escape(str(out.hash_info.value), f"the lock entry of {self.relative(out)}")
        return Path(self._repo.cache.local.oid_to_path(out.hash_info.value))

    def _check_listings(self, stage: Any) -> None:
        for out in stage.outs:
            if out.use_cache and out.hash_info and out.is_dir_checksum:
                listing = self._listing(out)
                if listing.exists():
                    check_listing(listing.read_bytes(), self.relative(out))

    def refuse_links(self, stage: Any) -> None:
        """Raise IntegrityError if an output of the stage lies behind a symlink."""
        for out in stage.outs:
            if out.protocol == "local":
                path = self.relative(out)
                refuse_escape(path, f"stage {getattr(stage, 'name', None) or path}")
                refuse_symlinks(self.root, path, cache=Path(self._repo.cache.local.path))


def _check_file(path: Path, oid: str, name: str, *, remove: bool = False) -> None:
    """Raise IntegrityError if the file is not what its digest says; a missing one is for the caller."""
    if not path.is_file():
        return
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, partial(hashlib.md5, usedforsecurity=False)).hexdigest()
    if found == oid.removesuffix(".dir"):
        return
    if remove:
        path.unlink()
    raise IntegrityError(
        f"{name} on the remote is not what its digest {oid} says",
        "it was swapped or damaged there; it was not used, and the remote still has it for you to look at",
    )
