"""The one adapter to DVC: its ``Repo`` in process, with every fetched object checked and hostile content refused.

DVC 3 calls a stage up to date when its lock entry agrees with the workspace, whoever wrote the entry. Here the two
questions are kept apart: ``state`` says what DVC sees, and whether the entry is believed is for the caller.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc_data.hashfile.hash_info import HashInfo

from gitml.dvc.errors import as_ours, translated
from gitml.dvc.ignoring import SourceRepo
from gitml.dvc.lockentries import Content, Entry, makers_of
from gitml.dvc.lookedat import looked_at
from gitml.dvc.objects import Store
from gitml.dvc.outputs import Outputs
from gitml.dvc.parts import told
from gitml.dvc.safety import refuse_escape, refuse_symlinks
from gitml.dvc.stages import drop_torn_rwlock, forget_gone, hold, is_params, refuse_legacy, types_changed
from gitml.errors import Problem, SpecError, UsageError


class StageState(Enum):
    """How a stage's lock entry compares with the workspace."""

    SAME = "same"
    OUTPUTS_MISSING = "outputs missing"
    OUTPUTS_CHANGED = "outputs changed"
    CHANGED = "changed"


class Dvc:
    """The DVC repository at ``root``. Use as a context manager; ``close`` releases DVC's databases."""

    @translated
    def __init__(self, root: Path, config: Mapping[str, Any] | None = None) -> None:
        """``config`` goes over what DVC's own files say."""
        self.root = root
        # DVC prints through logging, with handlers of its own, between our lines. What matters it raises.
        for name in ("dvc", "dvc_objects", "dvc_data"):
            logging.getLogger(name).handlers[:] = [logging.NullHandler()]
        os.environ.setdefault("DVC_NO_ANALYTICS", "1")
        drop_torn_rwlock(root)
        self._repo = SourceRepo(str(root), config=dict(config or {}))
        # With `verify` DVC deletes a wrong object from the remote and calls it missing. We fetch without, and check
        # each object in our own cache: the same protection, and whoever looks into it still finds the evidence.
        for remote in self._repo.config["remote"].values():
            remote["verify"] = False
        # Our own notes say what ran. DVC's run-cache is not written: it fails when the process stands outside `root`.
        self._repo.stage_cache.save = lambda stage: None
        self._outputs = Outputs(root, self._repo)

    def __enter__(self) -> Dvc:
        return self

    def __exit__(self, *_: object) -> None:
        self._repo.close()

    @property
    def cache_folder(self) -> Path:
        return Path(self._repo.cache.local.path)

    @property
    def top(self) -> Path:
        """The folder of ``.dvc``: ``root``, or one above it."""
        return Path(self._repo.root_dir)

    @translated
    def store(self, remote: str | None = None) -> Store:
        """The cache, or the objects of ``remote``."""
        if remote is None:
            return Store("cache", self._repo.cache.local)
        return Store(f"remote {remote}", self._repo.cloud.get_remote_odb(remote, "gc", hash_name="md5"))

    def remote_names(self) -> tuple[str, ...]:
        """The default one first."""
        default = self._repo.config["core"].get("remote")
        return tuple(sorted(self._repo.config["remote"], key=lambda name: bool(name != default)))

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
        for name, stage in self._stages().items():
            for out in stage.outs:
                path = self._outputs.relative(out)
                if out.protocol == "local":
                    refuse_escape(path, f"stage {name} in dvc.yaml")
                found[path] = name
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
            refuse_legacy(stages[name], self._lock_file(name))
            for other in self._makers(stages[name], makers):
                visit(other, (*above, name))
            order[name] = None

        for target in targets:
            visit(target, ())
        return tuple(order)

    @translated
    def makers(self, name: str) -> tuple[str, ...]:
        """The stages that make what the stage reads."""
        return self._makers(self._stage(name), self.producers())

    def _makers(self, stage: Any, makers: Mapping[str, str]) -> tuple[str, ...]:
        deps = (self._outputs.relative(d) for d in stage.deps if not is_params(d))
        return tuple(sorted({m for dep in deps for m in makers_of(dep, makers)}))

    @translated
    def check_graph(self) -> None:
        """Raise OutsideError when outputs overlap or two stages make the same one."""
        self._repo.index.check_graph()

    @translated
    def entry(self, name: str) -> Entry | None:
        """What ``dvc.lock`` says of the stage, or None if it says nothing or not all."""
        stage = self._stage(name)
        if any(self._outputs.digest(item) is None for item in [*stage.deps, *stage.outs] if not is_params(item)):
            return None
        return self._outputs.entry(stage, self._outputs.deps(stage), map(self._outputs.content, stage.outs))

    @translated
    def state(self, name: str) -> StageState:
        stage = self._stage(name)
        if stage.changed_stage() or stage.changed_deps() or types_changed(stage):
            return StageState.CHANGED
        statuses = {status for out in stage.outs for status in out.status().values()}
        if not statuses:
            return StageState.SAME
        if "not in cache" in statuses:  # DVC looks no further then
            statuses |= {status for out in stage.outs for status in out.workspace_status().values()}
        return StageState.OUTPUTS_CHANGED if statuses & {"modified", "new"} else StageState.OUTPUTS_MISSING

    @translated
    def looked_at(self, names: Sequence[str]) -> tuple[str, ...] | None:
        """The places on which it depends whether the stages are up to date; None where it depends on more."""
        return looked_at(self._repo, [self._stage(name) for name in names])

    @translated
    def inputs(self, name: str) -> Entry:
        """The stage's command, deps and params as the workspace has them now; ``outs`` is empty."""
        stage = self._fresh(name)
        stage.save_deps()
        return self._outputs.entry(stage, self._outputs.deps(stage))

    def has_command(self, name: str) -> bool:
        """False for data that `dvc add` or `dvc import` brought in."""
        return bool(self._stage(name).cmd)

    def reads(self, name: str) -> frozenset[str]:
        """The paths of the stage's dependencies, without files of params."""
        return frozenset(self._outputs.relative(d) for d in self._stage(name).deps if not is_params(d))

    def always_changed(self, name: str) -> bool:
        return bool(self._stage(name).always_changed)

    @translated
    def run(self, name: str) -> None:
        """Run the stage's command, whatever DVC thinks of its entry, and write the new entry.

        Raises UsageError for a stage with a command that is frozen: DVC would take what lies there for its outputs.
        """
        if self._stage(name).frozen and self._stage(name).cmd:
            hint = f"let it run again with `dvc unfreeze {name}`, or restore what it gave and its entry in dvc.lock"
            raise UsageError(f"stage {name} is frozen, and no recorded run gave what it should give", hint)
        self.refuse_links(name)
        self._repo.reproduce(targets=[self._target(name)], single_item=True, force=True, run_cache=False)
        self._outputs.keep(self._stage(name))

    @translated
    def restore(self, name: str) -> bool:
        """Put the outputs that the lock entry names into the workspace, from the cache or the remote; False if they
        are to be had nowhere. Raises IntegrityError when they are hostile or not what they should be."""
        return self._outputs.restore(self._stage(name))

    @translated
    def adopt(self, name: str, entry: Entry) -> bool:
        """Make ``entry``, which an earlier run gave, the stage's lock entry and restore its outputs, or False."""
        stage = self._fresh(name)
        stage.save_deps()
        by_path = {c.path: c for c in entry.outs}
        for out in stage.outs:
            content = by_path.get(self._outputs.relative(out))
            if content is None:
                return False
            hold(out, content)
        if not self._outputs.restore(stage):
            return False
        with self._repo.lock:
            stage.dump(update_pipeline=False)
        self._repo._reset()  # noqa: SLF001 — DVC's own way to forget stages that it has read
        return True

    @translated
    def expected(self, name: str, made: Mapping[str, Content]) -> Entry | None:
        """``inputs`` without the data that other stages make: their contents are taken from ``made``, by path.

        None when that is not known: a dependency, or the listing of a folder that another stage makes, is missing here.
        """
        stage = self._fresh(name)
        outs = {self._outputs.relative(out): out for other in self._stages().values() for out in other.outs}
        deps = []
        for dep in stage.deps:
            if is_params(dep):
                dep.save()
                continue
            content = told(dep, outs, made, self._outputs)
            if content is None:
                return None
            deps.append(content)
        return self._outputs.entry(stage, deps)

    @translated
    def note(self, name: str, entry: Entry) -> None:
        """Make ``entry`` the stage's lock entry as it stands. Data is neither needed nor touched."""
        stage = self._fresh(name)
        contents = {c.path: c for c in entry.deps}
        for dep in stage.deps:
            if is_params(dep):
                dep.hash_info = HashInfo("params", dict(entry.params[self._outputs.relative(dep)]))
            else:
                hold(dep, contents[self._outputs.relative(dep)])
        by_path = {c.path: c for c in entry.outs}
        for out in stage.outs:
            hold(out, by_path[self._outputs.relative(out)])
            if out.use_cache:
                out.ignore()
        with self._repo.lock:
            stage.dump(update_pipeline=False)
        self._repo._reset()  # noqa: SLF001 — DVC's own way to forget stages that it has read

    @translated
    def forget_gone(self) -> None:
        """Drop the entries of stages that are no longer there from each dvc.lock. DVC never reads them."""
        forget_gone(self._repo)

    @translated
    def stored(self, name: str, entry: Entry) -> bool:
        """Whether the cache or the remote has each cached output of ``entry``; of a folder, its listing."""
        contents = {c.path: c for c in entry.outs}
        return all(
            self.object_path(content) is not None or self._outputs.on_remote(out, content)
            for out in self._stage(name).outs
            if out.use_cache and (content := contents.get(self._outputs.relative(out)))
        )

    @translated
    def keep(self, name: str) -> None:
        """Copy the stage's outputs that live in Git into the cache, where comparisons look for them."""
        self._outputs.keep(self._stage(name))

    @translated
    def take(self, name: str, content: Content, place: Path) -> None:
        """Put ``content`` into the cache from ``place``, whose bytes the caller has checked."""
        (out,) = (out for out in self._stage(name).outs if self._outputs.relative(out) == content.path)
        self._outputs.take(out, content, place)

    def refuse_links(self, name: str) -> None:
        """Raise IntegrityError if an output of the stage lies outside the repository or behind a symlink."""
        self._outputs.refuse_links(self._stage(name))

    @translated
    def add(self, path: str) -> Content:
        """Put the file or folder ``path`` (relative to ``root``) into the cache and write its ``.dvc`` file."""
        refuse_escape(path, "the call")
        for name in (path, f"{path}.dvc"):
            refuse_symlinks(self.root, name, cache=self.cache_folder)
        (stage,) = self._repo.add(str(self.root / path))
        return self._outputs.content(stage.outs[0])

    @translated
    def push(self, names: Sequence[str]) -> int:
        """Upload the outputs of the stages; the number of files sent."""
        return int(self._repo.push(targets=[self._target(n) for n in names]))

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
        return {self._outputs.relative(out): bool(out.use_cache) for out in self._stage(name).outs}

    def _stages(self) -> dict[str, Any]:
        return {self._name(s): s for s in self._repo.index.stages if s.cmd or s.is_data_source}

    def _stage(self, name: str) -> Any:
        return self._stages()[name]

    def _fresh(self, name: str) -> Any:
        """The stage read anew, so that what we do to it is not seen by DVC's own index."""
        stage = self._stage(name)
        return self._repo.stage.load_one(path=stage.path, name=getattr(stage, "name", None))

    def _name(self, stage: Any) -> str:
        """``train``, or ``folder/dvc.yaml:train`` for a pipeline in a folder below. DVC's own name for a stage depends
        on where the process stands."""
        file = Path(os.path.relpath(stage.path, self.root)).as_posix()
        name = getattr(stage, "name", None)
        return str(name) if name and file == "dvc.yaml" else f"{file}:{name}" if name else file

    def _lock_file(self, name: str) -> str:
        file = name.rpartition(":")[0] or name
        return file if file.endswith(".dvc") else (Path(file).parent / "dvc.lock").as_posix()

    def _target(self, name: str) -> str:
        """The stage as DVC finds it from everywhere."""
        stage = self._stage(name)
        return f"{stage.path}:{stage.name}" if getattr(stage, "name", None) else str(stage.path)
