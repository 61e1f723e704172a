"""Re-running a commit without touching the clone it came from: a folder of its own, and a DVC of its own."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
from dvc.config import Config
from dvc.exceptions import DvcException
from dvc_data.hashfile.hash_info import HashInfo

from gitml.dvc.errors import as_ours
from gitml.dvc.lockentries import Content, Entry, makers_of
from gitml.dvc.repository import Dvc
from gitml.dvc.safety import check_listing, refuse_escape
from gitml.dvc.stages import is_params
from gitml.errors import InconclusiveError, OutsideError
from gitml.files import copy_file
from gitml.git.commands import Git

_PREFIX = "gitml-reproduce-"
_OWNER = "owner.lock"


@contextmanager
def scratch_folder(*, keep: bool = False) -> Iterator[Path]:
    """An empty private folder outside every clone, gone afterwards unless ``keep``.

    A killed process leaves its folder; the kernel drops that process's lock on it, and the next call sweeps it away. It
    gets the name by which it is swept when it is locked: before, it would look like a killed one's.
    """
    _sweep()
    fresh = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}")).resolve()
    owner = filelock.FileLock(fresh / _OWNER, blocking=False)
    owner.acquire()
    folder = fresh.rename(fresh.with_name(fresh.name.removeprefix(".")))
    try:
        yield folder
    finally:
        owner.release()
        (folder / _OWNER).unlink(missing_ok=True)
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _sweep() -> None:
    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_OWNER}"):
        with suppress(filelock.Timeout, OSError), filelock.FileLock(lock, blocking=False):
            shutil.rmtree(lock.parent, ignore_errors=True)


def forget_dead_worktrees(git: Git) -> None:
    """Drop the registrations that killed reproductions left in this clone; no other worktree is touched."""
    for folder in git.worktrees():
        if folder.parent.name.startswith(_PREFIX) and not folder.parent.exists():
            git.forget_worktree(folder)


@dataclass(frozen=True)
class DataSource:
    """Where a clone's data are to be had: its DVC cache, and its remotes with their settings. Only ever read."""

    cache: Path
    config: Mapping[str, Any]


def source_of(root: Path) -> DataSource:
    """From DVC's configuration files alone: opening the clone with DVC would write to it."""
    folder = next((p / ".dvc" for p in (root, *root.parents) if (p / ".dvc").is_dir()), root / ".dvc")
    try:
        config = Config(dvc_dir=str(folder))
    except DvcException as exc:
        raise as_ours(exc) from exc
    cache = config["cache"].get("dir")
    core = {key: value for key, value in config["core"].items() if key == "remote"}
    return DataSource(Path(cache) if cache else folder / "cache", {"core": core, "remote": dict(config["remote"])})


class ScratchDvc(Dvc):
    """DVC in a scratch worktree: its cache, databases and locks lie in ``folder``, ``source`` is only read."""

    def __init__(self, root: Path, folder: Path, source: DataSource) -> None:
        cache = folder / "cache"
        place = next((p / ".dvc" for p in (root, *root.parents) if (p / ".dvc").is_dir()), None)
        if place is None:
            raise InconclusiveError("the commit has no DVC repository", "was `dvc init` committed?")
        # For stages that call dvc themselves: in-memory settings do not reach them.
        (place / "config.local").write_text(f"[cache]\n    dir = {cache}\n", encoding="utf-8")
        own = {"analytics": False, "autostage": False, "site_cache_dir": str(folder / "site")}
        config = {
            "cache": {"dir": str(cache)},
            "core": {**source.config["core"], **own},
            "remote": dict(source.config["remote"]),
        }
        super().__init__(root, config)
        self._source = source.cache

    def __enter__(self) -> ScratchDvc:
        return self

    def sources(self) -> frozenset[str]:
        """What is not run again: data of ``dvc add`` or ``dvc import``, and stages that are always changed."""
        return frozenset(name for name, stage in self._stages().items() if not stage.cmd or stage.always_changed)

    def frozen(self) -> frozenset[str]:
        """The stages that have a command which DVC is told never to run."""
        return frozenset(name for name, stage in self._stages().items() if stage.cmd and stage.frozen)

    def keeping(self, names: Iterable[str]) -> tuple[str, ...]:
        """The outputs of these stages that stay from run to run: here they start from nothing."""
        return tuple(self._outputs.relative(out) for name in names for out in self._stage(name).outs if out.persist)

    def bring(self, name: str) -> bool:
        """Put the data of a source into the worktree, from the clone's cache or the remote; False if neither has it.

        Raises IntegrityError when what is there is hostile or damaged.
        """
        for out in self._stage(name).outs:
            if out.hash_info:
                self._copy_object(self._outputs.content(out))
        try:
            return self.restore(name)
        except OutsideError as exc:
            raise InconclusiveError(f"the data of {name} cannot be had: {exc.message}", exc.hint) from exc

    def materialise(self, content: Content, target: Path) -> bool:
        """Write the file or folder ``content`` to ``target``, from the clone's cache or the remote. Unverified.

        False if neither has all of it.
        """
        kind, _, value = content.digest.partition(":")
        self._copy_object(content)
        if not self._has(content) and self.remote_names():
            with suppress(DvcException, OSError):
                self._repo.cloud.pull([HashInfo(kind, value)])
        if not self._has(content):
            return False
        own = self._own(value)
        if not value.endswith(".dir"):
            copy_file(own, target)
            return True
        raw = own.read_bytes()
        check_listing(raw, content.path)
        for entry in json.loads(raw):
            copy_file(self._own(entry["md5"]), target / entry["relpath"])
        return True

    def _has(self, content: Content) -> bool:
        kept = self.object_path(content)
        if kept is None or not content.digest.endswith(".dir"):
            return kept is not None
        return all(self._own(digest).is_file() for digest in _digests(kept.read_bytes(), content.path))

    def _own(self, value: str) -> Path:
        return Path(self._repo.cache.local.oid_to_path(value))

    def _copy_object(self, content: Content) -> None:
        kind, _, value = content.digest.partition(":")
        if kind != "md5":
            return
        refuse_escape(value, f"the digest of {content.path}")
        listing = self._copy(value)
        if listing and value.endswith(".dir"):
            for digest in _digests(listing.read_bytes(), content.path):
                self._copy(digest)

    def _copy(self, value: str) -> Path | None:
        """One object by its MD5; ``restore`` compares the copy with its name."""
        own = self._own(value)
        theirs = self._source / own.relative_to(self.cache_folder) if own.is_relative_to(self.cache_folder) else None
        theirs = theirs if theirs and theirs.exists() else self._source / "files" / "md5" / value[:2] / value[2:]
        if not own.exists() and theirs.is_file():
            copy_file(theirs, own)
        return own if own.exists() else None

    def inputs_from_outside(self, name: str) -> Entry:
        """What the stage will run on, before anything ran: what other stages make keeps an empty digest.

        Raises InconclusiveError when a dependency is not in the commit.
        """
        stage, makers = self._fresh(name), self.producers()
        deps = []
        for dep in stage.deps:
            if is_params(dep):
                self._save(dep, name)
            elif makers_of(self._outputs.relative(dep), makers):
                deps.append(Content(self._outputs.relative(dep), ""))
            else:
                self._save(dep, name)
                deps.append(self._outputs.content(dep))
        outs = (Content(self._outputs.relative(out), "") for out in stage.outs)
        return self._outputs.entry(stage, deps, outs)

    def _save(self, dep: Any, name: str) -> None:
        try:
            dep.save()
        except DvcException as exc:
            path = str(dep.def_path)
            raise InconclusiveError(f"stage {name} needs {path}, which the commit does not have: {exc}") from exc

    def clear_outputs(self, name: str) -> None:
        """Remove what Git brought of the stage's outputs, so that nothing old can pass for something new."""
        self.refuse_links(name)
        for out in self._stage(name).outs:
            if out.protocol == "local":
                path = Path(out.fs_path)
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)


def _digests(raw: bytes, path: str) -> list[str]:
    check_listing(raw, path)
    return [entry["md5"] for entry in json.loads(raw)]
