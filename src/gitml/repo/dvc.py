"""The one adapter to DVC: its ``Repo`` in process, with ``verify`` on and hostile content refused before a write.

DVC 3 calls a stage up to date when its lock entry agrees with the workspace, whoever wrote the entry. Here the two
questions are kept apart: ``state`` says what DVC sees, and whether the entry is believed is for the caller.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta

from gitml.errors import IntegrityError, Problem, SpecError
from gitml.repo.dvcerrors import as_ours, corrupt_object, translated
from gitml.repo.entries import Content, Entry, makers_of
from gitml.repo.files import copy_file
from gitml.repo.safety import check_listing, refuse_escape, refuse_symlinks


class State(Enum):
    """How a stage's lock entry compares with the workspace."""

    SAME = "same"
    OUTPUTS_MISSING = "outputs missing"
    CHANGED = "changed"


class Dvc:
    """The DVC repository at ``root``. Use as a context manager; ``close`` releases DVC's databases."""

    @translated
    def __init__(self, root: Path) -> None:
        self.root = root
        # DVC speaks through logging; without a handler Python would print its warnings between our lines.
        logger = logging.getLogger("dvc")
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        os.environ.setdefault("DVC_NO_ANALYTICS", "1")
        self._drop_torn_rwlock()
        self._repo = Repo(str(root))
        for remote in self._repo.config["remote"].values():
            remote["verify"] = True

    def _drop_torn_rwlock(self) -> None:
        """A run killed while DVC wrote ``rwlock`` leaves half a JSON file that DVC refuses for ever after."""
        path = self.root / ".dvc" / "tmp" / "rwlock"
        with suppress(FileNotFoundError):
            text = path.read_text(encoding="utf-8", errors="replace").strip()
            if not text.endswith("}"):
                path.unlink()

    def __enter__(self) -> Dvc:
        return self

    def __exit__(self, *_: object) -> None:
        self._repo.close()

    @property
    def cache_folder(self) -> Path:
        return Path(self._repo.cache.local.path)

    def remote_names(self) -> tuple[str, ...]:
        return tuple(self._repo.config["remote"])

    @contextmanager
    def locked(self) -> Iterator[None]:
        """DVC's own repository lock, for a group of reads that must fit together."""
        try:
            with self._repo.lock:
                yield
        except DvcException as exc:
            raise as_ours(exc) from exc

    @translated
    def producers(self) -> dict[str, str]:
        """Output path → name of the stage that makes it. Outputs outside the repository are refused."""
        found: dict[str, str] = {}
        for stage in self._stages().values():
            for out in stage.outs:
                path = self._relative(out)
                if out.protocol == "local":
                    refuse_escape(path, f"stage {stage.addressing} in dvc.yaml")
                found[path] = stage.addressing
        return found

    @translated
    def lineage(self, targets: Sequence[str]) -> tuple[str, ...]:
        """The stages ``targets`` and all that they build on, each after those it needs.

        Raises SpecError on a cycle. DVC's own graph is not built: it imports networkx, a quarter of the time of a
        training that has nothing to do.
        """
        stages = self._stages()
        makers = self.producers()
        order: dict[str, None] = {}

        def visit(name: str, above: tuple[str, ...]) -> None:
            if name in above:
                circle = " → ".join([*above[above.index(name) :], name])
                raise SpecError([Problem("dvc.yaml", 0, f"stages.{name}", f"needs what it makes itself: {circle}")])
            if name in order:
                return
            deps = (self._relative(d) for d in stages[name].deps if not _is_params(d))
            for other in sorted({m for dep in deps for m in makers_of(dep, makers)}):
                visit(other, (*above, name))
            order[name] = None

        for target in targets:
            visit(target, ())
        return tuple(order)

    @translated
    def check_graph(self) -> None:
        """Raise OutsideError when outputs overlap or two stages make the same one."""
        self._repo.index.check_graph()

    @translated
    def entry(self, name: str) -> Entry | None:
        """What ``dvc.lock`` says of the stage, or None if it says nothing or not all."""
        stage = self._stage(name)
        if any(not item.hash_info for item in [*stage.deps, *stage.outs] if not _is_params(item)):
            return None
        outs = tuple(sorted(self._content(o) for o in stage.outs))
        return Entry(_commands(stage), self._deps(stage), _params(stage), outs)

    def _deps(self, stage: Any) -> tuple[Content, ...]:
        return tuple(sorted(self._content(d) for d in stage.deps if not _is_params(d)))

    @translated
    def state(self, name: str) -> State:
        stage = self._stage(name)
        if stage.changed_stage() or stage.changed_deps():
            return State.CHANGED
        statuses = {status for out in stage.outs for status in out.status().values()}
        if not statuses:
            return State.SAME
        return State.OUTPUTS_MISSING

    @translated
    def inputs(self, name: str) -> Entry:
        """The stage's command, deps and params as the workspace has them now; ``outs`` is empty."""
        stage = self._fresh(name)
        stage.save_deps()
        return Entry(_commands(stage), self._deps(stage), _params(stage), ())

    @translated
    def run(self, name: str) -> None:
        """Run the stage's command, whatever DVC thinks of its entry, and write the new entry."""
        self.refuse_links(name)
        self._repo.reproduce(targets=[name], single_item=True, force=True, run_cache=False)
        for out in self._stage(name).outs:
            if not out.use_cache:
                self._keep(out)

    def _keep(self, out: Any) -> None:
        """An output with ``cache: false`` lives in Git; a copy in the cache lets an earlier run be restored."""
        target = Path(self._repo.cache.local.oid_to_path(out.hash_info.value))
        if not target.exists() and Path(out.fs_path).is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            copy_file(Path(out.fs_path), target)

    @translated
    def restore(self, name: str) -> bool:
        """Put the outputs that the lock entry names into the workspace, from the cache or the remote.

        False if they are to be had nowhere. Raises IntegrityError when they are hostile or not what they should be.
        """
        return self._restore(self._stage(name))

    @translated
    def adopt(self, name: str, entry: Entry) -> bool:
        """Make ``entry``, which an earlier run gave, the stage's lock entry and restore its outputs, or False."""
        stage = self._fresh(name)
        stage.save_deps()
        by_path = {c.path: c for c in entry.outs}
        for out in stage.outs:
            content = by_path.get(self._relative(out))
            if content is None:
                return False
            kind, _, value = content.digest.partition(":")
            out.hash_info = HashInfo(kind, value)
            out.meta = Meta(size=content.size, nfiles=content.files or None, isdir=value.endswith(".dir"))
        if not self._restore(stage):
            return False
        with self._repo.lock:
            stage.dump(update_pipeline=False)
        self._repo._reset()  # noqa: SLF001 — DVC's own way to forget stages that it has read
        return True

    def _restore(self, stage: Any) -> bool:
        self.refuse_links(stage.addressing)
        self._fetch_listings(stage)
        self._check_listings(stage)
        cached = [out for out in stage.outs if out.use_cache]
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
        if not self.remote_names() and not any(o.remote for o in outs):
            return False
        try:
            for odb, objects in stage.get_used_objs().items():
                self._repo.cloud.pull(objects, odb=odb)
        except DvcException as exc:
            swapped = corrupt_object(exc)
            if swapped:
                raise IntegrityError(
                    f"the remote's object {swapped} for stage {stage.addressing} is not what its digest says",
                    "it was swapped or damaged on the remote; nothing was written to the workspace",
                ) from exc
            return False
        return not any(out.changed_cache() for out in outs)

    def _fetch_listings(self, stage: Any) -> None:
        for out in stage.outs:
            if out.use_cache and out.is_dir_checksum and self.remote_names() and not self._listing(out).exists():
                out.get_dir_cache()

    def _listing(self, out: Any) -> Path:
        refuse_escape(str(out.hash_info.value), f"the lock entry of {self._relative(out)}")
        return Path(self._repo.cache.local.oid_to_path(out.hash_info.value))

    def _check_listings(self, stage: Any) -> None:
        for out in stage.outs:
            if out.use_cache and out.hash_info and out.is_dir_checksum:
                listing = self._listing(out)
                if listing.exists():
                    check_listing(listing.read_bytes(), self._relative(out))

    def refuse_links(self, name: str) -> None:
        """Raise IntegrityError if an output of the stage lies behind a symlink."""
        for out in self._stage(name).outs:
            if out.protocol == "local":
                path = self._relative(out)
                refuse_escape(path, f"stage {name} in dvc.yaml")
                refuse_symlinks(self.root, path, cache=self.cache_folder)

    @translated
    def push(self, names: Sequence[str]) -> int:
        """Upload the outputs of the stages; the number of files sent."""
        return int(self._repo.push(targets=list(names)))

    def object_path(self, content: Content) -> Path | None:
        """Where the cache keeps ``content``, or None if it does not."""
        kind, _, value = content.digest.partition(":")
        if kind != "md5":
            return None
        refuse_escape(value, f"the record of {content.path}")
        path = Path(self._repo.cache.local.oid_to_path(value))
        return path if path.exists() else None

    def is_cached(self, name: str) -> Mapping[str, bool]:
        """Output path → whether DVC's cache keeps it (``cache: false`` outputs live in Git)."""
        return {self._relative(out): bool(out.use_cache) for out in self._stage(name).outs}

    def _stages(self) -> dict[str, Any]:
        return {s.addressing: s for s in self._repo.index.stages if s.cmd or s.is_data_source}

    def _stage(self, name: str) -> Any:
        return self._stages()[name]

    def _fresh(self, name: str) -> Any:
        """The stage read anew, so that what we do to it is not seen by DVC's own index."""
        stage = self._stage(name)
        return self._repo.stage.load_one(path=stage.path, name=getattr(stage, "name", None))

    def _content(self, item: Any) -> Content:
        meta = item.meta
        size = (meta.size if meta else None) or 0
        files = (meta.nfiles if meta else None) or 0
        return Content(self._relative(item), f"{item.hash_info.name}:{item.hash_info.value}", size, files)

    def _relative(self, item: Any) -> str:
        if item.protocol != "local":
            return str(item.def_path)
        return Path(os.path.relpath(item.fs_path, self.root)).as_posix()


def _is_params(dep: Any) -> bool:
    return hasattr(dep, "params")


def _commands(stage: Any) -> tuple[str, ...]:
    return tuple(stage.cmd) if isinstance(stage.cmd, list) else (stage.cmd,)


def _params(stage: Any) -> dict[str, dict[str, Any]]:
    """File → key → value, as the lock entry has them."""
    files = {Path(dep.def_path).as_posix(): dep.hash_info.value for dep in stage.deps if _is_params(dep)}
    return {file: dict(values) for file, values in sorted(files.items()) if isinstance(values, dict)}
