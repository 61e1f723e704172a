"""The ledger: append an event to 10,000, list them all, verify 1,000 signatures, audit."""

from __future__ import annotations

import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.timing import git
from gitml.evidence.dsse import sign
from gitml.evidence.keys import SigningKey, generate, signing_key
from gitml.evidence.statement import Binding, Statement, to_payload
from gitml.evidence.trust import believe_event
from gitml.git import ledger
from gitml.git.ledger import Event
from gitml.git.ledgerline import line_of
from gitml.git.repository import Repository
from gitml.spec.policy import TrustedKey

START = datetime(2026, 1, 1, tzinfo=UTC)
DETAILS = {"auc": {"value": 0.71, "low": 0.69, "high": 0.73}, "reviews": [{"by": "olga", "state": "APPROVED"}] * 3}


def envelope(number: int, key: SigningKey) -> tuple[str, bytes]:
    moment = f"{START + timedelta(minutes=50 * number):%Y-%m-%dT%H:%M:%SZ}"
    about = Binding(
        kind="gate",
        repository="acme/app",
        time=moment,
        model="delay",
        environment="production",
        version="20260301T070000Z-3f2a90bc",
        artifact="c" * 64,
        pull=number + 1,
        head=f"{number:040x}"[::-1].replace("0", "a", 1),
        policy="e" * 64,
        run=f"https://forge/acme/app/actions/runs/{number}",
    )
    content = sign(to_payload(Statement(about, DETAILS)), key)
    return ledger.event_name(moment, "gate", content), content


def fill(server: Path, events: dict[str, bytes]) -> None:
    """One commit for each event, as if each had been appended."""
    stream = bytearray()
    for number, (name, content) in enumerate(events.items()):
        stream += b"commit refs/heads/%s\ncommitter g <g@g> %d +0000\ndata 1\nx\n" % (ledger.BRANCH.encode(), number)
        stream += b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(content), content)
    subprocess.run(["git", "fast-import", "--quiet"], cwd=server, input=bytes(stream), check=True)


def timed(work: Callable[[], object], rounds: int = 9) -> tuple[float, float, float]:
    """Median and best wall time, and median CPU time with that of children, in seconds."""
    taken, used = [], []
    for _ in range(rounds):
        before, began = cpu(), time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
        used.append(cpu() - before)
    return statistics.median(taken), min(taken), statistics.median(used)


def cpu() -> float:
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, who))


def report(what: str, times: tuple[float, float, float], budget: float | None) -> None:
    median, best, used = (1000 * t for t in times)
    allowed = f"  budget {1000 * budget:6.0f} ms" if budget else ""
    print(f"{what:40} {median:8.1f} ms median  {best:8.1f} ms best  {used:8.1f} ms CPU{allowed}")


def appending(folder: Path, key: SigningKey, there: dict[str, bytes], label: str) -> tuple[Path, Path]:
    """Append to a server that holds events already, as a forge keeps it; the server, and a clone that knows it."""
    server, clone = folder / "server.git", folder / "clone"
    folder.mkdir()
    git(folder, "init", "-q", "--bare", str(server))
    git(server, "config", "uploadpack.allowFilter", "true")
    fill(server, there)
    git(server, "gc", "-q")
    git(folder, "init", "-q", str(clone))
    remote = ledger.Remote(f"file://{server}")
    ledger.fetch(clone, remote)
    more = iter([envelope(n, key) for n in range(20_000, 20_100)])
    report(
        f"append to {label}, near a clone",
        timed(lambda: ledger.append(remote, dict([next(more)]), near=clone), 15),
        0.05,
    )
    report(f"append to {label}, from nothing", timed(lambda: ledger.append(remote, dict([next(more)])), 15), None)
    return server, clone


def main() -> None:
    private, public = generate()
    key = signing_key(private)
    trusted = TrustedKey.model_validate({"public": public, "owner": "CI", "purposes": ["gate"], "from": "2026-01-01"})
    events = dict(envelope(n, key) for n in range(10_000))
    now = START + timedelta(days=3650)
    some = dict(list(events.items())[:1000])
    with tempfile.TemporaryDirectory() as name:
        appending(Path(name, "small"), key, dict(list(events.items())[:100]), "100 events")
        _, clone = appending(Path(name, "large"), key, events, "10,000 events")
        report("walk 10,000 events for the first time", timed(lambda: line_of(Repository(clone), tip(clone)), 5), None)
        report("list 10,000 events", timed(lambda: ledger.read(clone)), 0.3)
        report("believe 1,000 events", timed(lambda: judge(some, trusted, now)), 2.0)


def tip(clone: Path) -> str:
    return ledger.head(clone) or ""


def judge(events: dict[str, bytes], trusted: TrustedKey, now: datetime) -> None:
    told = (believe_event(Event(n, e), {"ci": trusted}, "acme/app", now) for n, e in events.items())
    if not all(told):
        raise AssertionError("an event is not believed")


if __name__ == "__main__":
    main()
