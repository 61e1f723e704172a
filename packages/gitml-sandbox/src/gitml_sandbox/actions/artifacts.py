"""Artifacts: files that jobs hand to each other through the sandbox, checked before anybody can get them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sqlite3
import stat
import zipfile
from datetime import timedelta
from pathlib import Path, PurePosixPath

from gitml_sandbox.actions import tables as runs_store
from gitml_sandbox.clock import iso
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.forge.refusals import RefusalError, not_found, unprocessable

MAX_BYTES = 2 * 1024**3  # packed, one artifact
MAX_UNPACKED = 8 * 1024**3
MAX_FILES = 50_000
MAX_PER_RUN = 500
MAX_RUN_BYTES = 8 * 1024**3
DAYS = 90
# GitHub's list of characters that a name must not hold, as some file systems do not take them.
_BAD = re.compile(r'[":<>|*?\r\n\\/\x00]')


def folder(sandbox: Sandbox, run_id: int) -> Path:
    return sandbox.root / "artifacts" / str(run_id)


def path(sandbox: Sandbox, row: sqlite3.Row) -> Path:
    """The file of an artifact: named by its id, never by a name that a job chose."""
    return folder(sandbox, row["run_id"]) / f"{row['id']}.zip"


def _part(sandbox: Sandbox, job: sqlite3.Row, name: str) -> Path:
    digest = hashlib.sha256(name.encode()).hexdigest()[:32]
    return folder(sandbox, job["run_id"]) / f"job-{job['id']}-{digest}.part"


def check_name(name: str) -> None:
    """Raises RefusalError 422 for a name that GitHub does not take."""
    if not name or len(name) > 255 or _BAD.search(name) or name in {".", ".."} or not name.isprintable():
        raise unprocessable(f"The artifact name is not valid: {name[:80]!r}")


def receive(sandbox: Sandbox, job: sqlite3.Row, name: str, offset: int, body: bytes) -> None:
    """Add a part to an upload. A part at 0 begins it anew."""
    check_name(name)
    part = _part(sandbox, job, name)
    part.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    have = part.stat().st_size if part.exists() and offset else 0
    if offset != have:
        raise RefusalError(409, f"The upload holds {have} bytes, not {offset}")
    if have + len(body) > MAX_BYTES:
        part.unlink(missing_ok=True)
        raise RefusalError(413, f"An artifact may have at most {MAX_BYTES} bytes")
    with part.open("ab" if offset else "wb") as file:
        file.write(body)


def finish(sandbox: Sandbox, job: sqlite3.Row, name: str, *, size: int, overwrite: bool, days: int) -> sqlite3.Row:
    """Check what has arrived and make it an artifact of the job's run. Raises RefusalError."""
    check_name(name)
    part = _part(sandbox, job, name)
    if not part.exists() or part.stat().st_size != size:
        raise unprocessable("The upload is not complete")
    try:
        check_archive(part)
        return _keep(sandbox, job, name, part, overwrite=overwrite, days=days)
    finally:
        part.unlink(missing_ok=True)


def _on_disk(part: Path) -> str:
    """The digest of a file that is there after a power cut, too."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def _keep(sandbox: Sandbox, job: sqlite3.Row, name: str, part: Path, *, overwrite: bool, days: int) -> sqlite3.Row:
    digest = _on_disk(part)
    size = part.stat().st_size
    now = sandbox.clock()
    with sandbox.store.write() as tx:
        run = runs_store.run_row(tx, job["run_id"])
        assert run is not None
        old = tx.execute("SELECT * FROM artifacts WHERE run_id = ? AND name = ?", (run["id"], name)).fetchone()
        # An earlier attempt of the run may have left one of the same name: the newest counts.
        if old is not None and not overwrite and old["created_at"] >= run["started_at"]:
            raise RefusalError(409, f"An artifact with the name {name} exists already in this run")
        if old is not None:
            tx.execute("DELETE FROM artifacts WHERE id = ?", (old["id"],))
        sums = tx.execute(
            "SELECT count(*) AS n, coalesce(sum(size), 0) AS bytes FROM artifacts WHERE run_id = ?", (run["id"],)
        ).fetchone()
        if sums["n"] >= MAX_PER_RUN or sums["bytes"] + size > MAX_RUN_BYTES:
            raise RefusalError(413, f"A run may have at most {MAX_PER_RUN} artifacts and {MAX_RUN_BYTES} bytes of them")
        values = {
            "repo_id": run["repo_id"],
            "run_id": run["id"],
            "name": name,
            "size": size,
            "digest": digest,
            "created_at": iso(now),
            "expires_at": iso(now + timedelta(days=days if 0 < days <= DAYS else DAYS)),
        }
        artifact_id = runs_store.insert(tx, "artifacts", values)
        row: sqlite3.Row = tx.execute("SELECT * FROM artifacts WHERE id = ?", (artifact_id,)).fetchone()
        os.replace(part, path(sandbox, row))
    if old is not None:
        path(sandbox, old).unlink(missing_ok=True)
    return row


def check_archive(file: Path) -> None:
    """Refuse names that leave the folder, links, devices and bombs: who unpacks must not need to be careful."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, NotImplementedError) as exc:
        raise unprocessable("The artifact is no zip file") from exc
    if len(entries) > MAX_FILES or sum(e.file_size for e in entries) > MAX_UNPACKED:
        raise RefusalError(413, f"An artifact may hold at most {MAX_FILES} files and {MAX_UNPACKED} bytes unpacked")
    for entry in entries:
        _check_entry(entry)


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    parts = PurePosixPath(name.replace("\\", "/")).parts
    leaves = not parts or ".." in parts or name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if leaves or "\0" in name or kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise unprocessable(f"The artifact holds {name[:200]!r}, which is not a plain file below its folder")


def of_run(tx: sqlite3.Connection, run_id: int) -> list[sqlite3.Row]:
    return tx.execute("SELECT * FROM artifacts WHERE run_id = ? ORDER BY id", (run_id,)).fetchall()


def newest_of_branch(tx: sqlite3.Connection, repo_id: int, branch: str) -> list[sqlite3.Row]:
    """The newest of each name that runs of the branch left, by name; those of pull requests are none of them."""
    sql = """
    SELECT artifacts.* FROM artifacts JOIN runs ON runs.id = run_id
    WHERE artifacts.repo_id = ?1 AND runs.head_branch = ?2 AND runs.event NOT LIKE 'pull_request%'
    AND artifacts.id = (
        SELECT max(newer.id) FROM artifacts AS newer JOIN runs AS later ON later.id = newer.run_id
        WHERE newer.repo_id = ?1 AND newer.name = artifacts.name AND later.head_branch = ?2
        AND later.event NOT LIKE 'pull_request%'
    ) ORDER BY artifacts.name LIMIT 100
    """
    return tx.execute(sql, (repo_id, branch)).fetchall()


def get(tx: sqlite3.Connection, repo_id: int, artifact_id: int) -> sqlite3.Row:
    """Raises RefusalError 404."""
    row: sqlite3.Row | None = tx.execute(
        "SELECT * FROM artifacts WHERE id = ? AND repo_id = ?", (artifact_id, repo_id)
    ).fetchone()
    if row is None:
        raise not_found()
    return row


def drop_of_run(sandbox: Sandbox, tx: sqlite3.Connection, run_id: int) -> None:
    """Forget the artifacts of a run: a re-run begins without them."""
    tx.execute("DELETE FROM artifacts WHERE run_id = ?", (run_id,))
    shutil.rmtree(folder(sandbox, run_id), ignore_errors=True)
