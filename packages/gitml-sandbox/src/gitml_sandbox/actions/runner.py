"""The runner: a thread that turns events into runs, gives jobs to act and writes down how they end."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from gitml_sandbox.actions import environment_gates, event_runs, execution, jobdeploy, jobstatus, queue, recovery
from gitml_sandbox.actions import schedules as cron
from gitml_sandbox.actions import tables as runs_store
from gitml_sandbox.actions.execution import Assignment, Handle, Outcome
from gitml_sandbox.actions.repofacts import Cache, RepoFacts
from gitml_sandbox.actions.tables import change
from gitml_sandbox.errors import SandboxError
from gitml_sandbox.forge import repos
from gitml_sandbox.forge.context import Sandbox

HOSTED = ("ubuntu-latest", "ubuntu-24.04", "ubuntu-22.04", "self-hosted", "linux", "x64")
QUICK = "sandbox-quick"
QUICK_MINUTES = 15.0
_STEP_SECONDS = 0.25
_log = logging.getLogger(__name__)


def machines(jobs: int | None = None) -> dict[str, Collection[str]]:
    """So many machines, by default one for each core and at least two, and the one for quick jobs."""
    count = jobs or max(os.cpu_count() or 1, 2)
    return {**{f"sandbox-{n}": HOSTED for n in range(1, count + 1)}, QUICK: HOSTED}


class Runner:
    """One per sandbox. `labels` names the machines and what each can do; every machine runs one job at a
    time. The machine QUICK takes only jobs whose `timeout-minutes` is at most 15, so that a gate never waits for a
    training. `tools` is a folder of commands that its jobs find instead of those beside our Python, `passed` variables
    that all of them get.

    A job whose labels no machine has stays queued, says so, and fails after `queue_limit`.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        labels: Mapping[str, Collection[str]] | None = None,
        *,
        queue_limit: timedelta = timedelta(hours=1),
        poll_seconds: float = 0.5,
        tools: Path | None = None,
        passed: Mapping[str, str] | None = None,
    ) -> None:
        self.sandbox, self._tools, self._passed = sandbox, tools, passed or {}
        self.machines = {name: frozenset(map(str.lower, has)) for name, has in (labels or machines()).items()}
        self._queue_limit, self._poll = queue_limit, poll_seconds
        self._cache: Cache = {}
        self._handles: dict[int, Handle] = {}
        self._busy: dict[str, int] = {}
        self._threads: set[threading.Thread] = set()
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self._minute: datetime | None = None
        self._loop = threading.Thread(target=self._run, name="runner", daemon=True)

    def start(self) -> None:
        """Make up for the last end of the process, then begin."""
        recovery.recover(self.sandbox, self.machines)
        self._loop.start()

    def stop(self) -> None:
        """End running jobs, which fail with that reason, and wait for them."""
        self._stopping.set()
        self.sandbox.wake.set()
        self._loop.join(timeout=30)
        for handle in list(self._handles.values()):
            handle.stop(recovery.STOPPED)
        for thread in list(self._threads):
            thread.join(timeout=30)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.sandbox.wake.wait(self._poll)
            self.sandbox.wake.clear()
            try:
                self.turn()
            except Exception:  # the loop is this thread's boundary: one bad turn must not end the runner
                _log.exception("a turn of the runner failed")
                time.sleep(self._poll)

    def turn(self) -> None:
        """One pass: clock, events, queue, machines."""
        self._clock()
        while found := event_runs.pending(self.sandbox):
            for row in found:
                self._intake(row)
        self._advance()
        self._dispatch()

    def _clock(self) -> None:
        minute = self.sandbox.clock().replace(second=0, microsecond=0)
        if minute == self._minute:
            return
        self._minute = minute
        with self.sandbox.store.read() as tx:
            found = repos.listing(tx, everything=True)
        for repo in found:
            try:
                cron.tick(self.sandbox, repo, RepoFacts(self.sandbox, repo, self._cache))
            except sqlite3.OperationalError:
                raise
            except Exception:  # one repository that cannot be read must not keep the others from their hour
                _log.exception("the schedules of %s cannot be read", repo.full_name)

    def _advance(self) -> None:
        with self.sandbox.store.read() as tx:
            open_ids = [(row["id"], row["repo_id"]) for row in runs_store.open_runs(tx)]
        for run_id, repo_id in open_ids:
            try:
                with self.sandbox.store.write() as tx:
                    queue.advance(tx, self.sandbox, repos.by_id(tx, repo_id), run_id)
            except sqlite3.OperationalError:
                raise
            except Exception as exc:  # one run that cannot go on must not stop the others
                _log.exception("run %s cannot go on", run_id)
                with self.sandbox.store.write() as tx:
                    queue.give_up(tx, self.sandbox, run_id, f"{type(exc).__name__}: {exc}")

    def _intake(self, row: sqlite3.Row) -> None:
        try:
            event_runs.handle(self.sandbox, row, self._cache)
        except sqlite3.OperationalError:
            raise  # the disk is full or the file is locked: the event stays and is judged later
        except Exception:  # one event that cannot be judged must not keep those behind it waiting
            _log.exception("event %s cannot be judged", row["id"])
            event_runs.give_up(self.sandbox, row)

    def _dispatch(self) -> None:
        with self.sandbox.store.read() as tx:
            rows = tx.execute(
                "SELECT * FROM jobs WHERE status IN ('queued', 'in_progress') AND (labels <> '[]') ORDER BY id"
            ).fetchall()
        for row in rows:
            if row["status"] == "in_progress":
                self._watch(row)
            elif not self._give(row):
                self._explain(row)

    def _watch(self, row: sqlite3.Row) -> None:
        """Stop a running job that is to be cancelled; end one whose thread could not write down how it ended."""
        handle = self._handles.get(row["id"])
        if handle is None and row["runner"]:
            self._lost(row)
        elif row["cancel_asked"] and handle and not handle.stopped:
            threading.Thread(target=handle.stop, args=[row["reason"] or "the run was cancelled"]).start()

    def _lost(self, row: sqlite3.Row) -> None:
        with self.sandbox.store.read() as tx:
            fresh = runs_store.job_row(tx, row["id"])
        # The thread may have ended, and written so, since the row was read.
        if fresh is not None and fresh["status"] == "in_progress":
            self._failed(row, None, "how the job ended could not be written down: is the disk full?")

    def _give(self, row: sqlite3.Row) -> bool:
        """Hand a queued job to a free machine; True if it was, or if it only has to wait for its turn."""
        wanted = environment_gates.labels(row)
        quick = row["minutes"] <= QUICK_MINUTES
        fitting = [name for name, has in self.machines.items() if wanted <= has and (quick or name != QUICK)]
        if not fitting:
            return False
        fitting.sort(key=QUICK.__ne__)
        with self._guard:
            machine = next((name for name in fitting if name not in self._busy), None)
            if machine is None or row["id"] in self._handles or self._at_limit(row):
                return True
            self._busy[machine] = row["id"]
            handle = self._handles[row["id"]] = Handle(self._tools, self._passed)
        thread = threading.Thread(target=self._work, args=[row, machine, handle], name=f"job {row['id']}", daemon=True)
        self._threads.add(thread)
        thread.start()
        return True

    def _at_limit(self, row: sqlite3.Row) -> bool:
        if not row["max_parallel"]:
            return False
        with self.sandbox.store.read() as tx:
            brothers = tx.execute(
                "SELECT id FROM jobs WHERE run_id = ? AND attempt = ? AND key = ?",
                (row["run_id"], row["attempt"], row["key"]),
            ).fetchall()
        return sum(b["id"] in self._handles for b in brothers) >= int(row["max_parallel"])

    def _explain(self, row: sqlite3.Row) -> None:
        """No machine will ever take the job: say so at once, and fail it when it has waited long enough."""
        words = f"no runner has the labels {', '.join(json.loads(row['labels']))}"
        waited = self.sandbox.clock() - datetime.fromisoformat(row["created_at"])
        expired = waited >= self._queue_limit
        reason = f"{words}; it was queued for {waited}" if expired else f"queued: {words}"
        if not expired and row["reason"] == reason:
            return
        with self.sandbox.store.write() as tx:
            run = runs_store.run_row(tx, row["run_id"])
            assert run is not None
            turn = queue.turn_of(tx, self.sandbox, repos.by_id(tx, run["repo_id"]), run)
            if expired:
                queue.complete(turn, row, "failure", reason)
                queue.advance(tx, self.sandbox, turn.repo, run["id"])
            else:
                change(tx, "jobs", row["id"], reason=reason)
                jobstatus.post(tx, self.sandbox, turn.repo, run, jobstatus.Said(row["name"], "pending", reason))

    def _work(self, row: sqlite3.Row, machine: str, handle: Handle) -> None:
        """The life of one job, on a thread of its own."""
        task: Assignment | None = None
        try:
            task = self._begin(row, machine)
            if task is not None:
                outcome = execution.perform(self.sandbox, task, handle, self._steps(row["id"]))
                self._end(task, outcome)
        except Exception as exc:  # this thread's boundary: whatever happens, the job must end with a reason
            _log.exception("job %s failed in the runner", row["id"])
            self._failed(row, task, f"{type(exc).__name__}: {exc}")
        finally:
            with self._guard:
                self._busy.pop(machine, None)
                self._handles.pop(row["id"], None)
                self._threads.discard(threading.current_thread())
            self.sandbox.wake.set()

    def _begin(self, row: sqlite3.Row, machine: str) -> Assignment | None:
        with self.sandbox.store.write() as tx:
            now = self.sandbox.now()
            taken = tx.execute(
                "UPDATE jobs SET status = 'in_progress', runner = ?, started_at = ?, reason = ''"
                " WHERE id = ? AND status = 'queued' AND cancel_asked = 0 AND NOT EXISTS"
                " (SELECT 1 FROM runs WHERE runs.id = run_id AND runs.cancel_asked AND runs.status = 'queued')",
                (machine, now, row["id"]),
            )
            fresh = runs_store.job_row(tx, row["id"])
            run = runs_store.run_row(tx, row["run_id"])
            if taken.rowcount == 0 or fresh is None or run is None:
                return None
            repo = repos.by_id(tx, run["repo_id"])
            queue.advance(tx, self.sandbox, repo, run["id"])
            jobstatus.post(tx, self.sandbox, repo, run, jobstatus.Said(fresh["name"], "pending", "In progress"))
            try:
                task = execution.assign(tx, self.sandbox, repo, fresh)
                jobdeploy.begin(tx, self.sandbox, repo, run, fresh, task.job)
                return task
            except SandboxError as exc:
                queue.complete(queue.turn_of(tx, self.sandbox, repo, run), fresh, "failure", exc.message)
                queue.advance(tx, self.sandbox, repo, run["id"])
                return None

    def _steps(self, job_id: int) -> Any:
        last = [0.0]

        def changed(steps: Sequence[Any]) -> None:
            # Every write waits for the disk, so quick steps are written down together.
            if time.monotonic() - last[0] >= _STEP_SECONDS:
                last[0] = time.monotonic()
                with self.sandbox.store.write() as tx:
                    change(tx, "jobs", job_id, steps=json.dumps([s.as_json() for s in steps]))

        last[0] = time.monotonic()
        return changed

    def _end(self, task: Assignment, outcome: Outcome) -> None:
        with self.sandbox.store.write() as tx:
            recovery.revoke(tx, task.row["id"])
            change(
                tx,
                "jobs",
                task.row["id"],
                outputs=json.dumps(dict(outcome.outputs)),
                steps=json.dumps(list(outcome.steps)),
            )
            stopped = outcome.reason == recovery.STOPPED
            run = runs_store.run_row(tx, task.run["id"])
            assert run is not None
            turn = queue.turn_of(tx, self.sandbox, task.repo, run)
            queue.complete(turn, task.row, "failure" if stopped else outcome.conclusion, outcome.reason)
            queue.advance(tx, self.sandbox, task.repo, task.run["id"])

    def _failed(self, row: sqlite3.Row, task: Assignment | None, reason: str) -> None:
        with self.sandbox.store.write() as tx:
            recovery.revoke(tx, row["id"])
            run = runs_store.run_row(tx, row["run_id"])
            assert run is not None
            repo = task.repo if task else repos.by_id(tx, run["repo_id"])
            queue.complete(queue.turn_of(tx, self.sandbox, repo, run), row, "failure", reason[:1000])
            queue.advance(tx, self.sandbox, repo, run["id"])
