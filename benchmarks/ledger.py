"""The ledger: append an event to 10,000, list them all, verify 1,000 signatures, audit."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.timing import git
from gitml.governance.dsse import sign
from gitml.governance.keys import SigningKey, generate, signing_key
from gitml.governance.statement import Binding, Statement, to_payload
from gitml.governance.trust import believe
from gitml.repo import ledger
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


def timed(work: Callable[[], object], rounds: int = 9) -> tuple[float, float]:
    """Median and best wall time, in seconds."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken), min(taken)


def report(what: str, times: tuple[float, float], budget: float) -> None:
    median, best = times
    print(f"{what:44} {1000 * median:8.1f} ms median  {1000 * best:8.1f} ms best  budget {1000 * budget:6.0f} ms")


def main() -> None:
    private, public = generate()
    key = signing_key(private)
    trusted = TrustedKey.model_validate({"public": public, "owner": "CI", "purposes": ["gate"], "from": "2026-01-01"})
    events = dict(envelope(n, key) for n in range(10_000))
    now = START + timedelta(days=3650)
    with tempfile.TemporaryDirectory() as folder:
        server, clone = Path(folder, "server.git"), Path(folder, "clone")
        git(Path(folder), "init", "-q", "--bare", str(server))
        git(server, "config", "uploadpack.allowFilter", "true")
        fill(server, events)
        remote = ledger.Remote(f"file://{server}")
        more = iter([envelope(n, key) for n in range(10_000, 10_100)])
        report("append one event to 10,000", timed(lambda: ledger.append(remote, dict([next(more)])), 15), 0.05)
        git(Path(folder), "clone", "-q", "--bare", str(server), str(clone))
        report("list 10,000 events", timed(lambda: ledger.read(clone, ledger.BRANCH)), 0.3)
        some = list(events.values())[:1000]
        report(
            "believe 1,000 events",
            timed(lambda: [believe(e, {"ci": trusted}, "acme/app", now) for e in some]),
            2.0,
        )
        if not all(believe(e, {"ci": trusted}, "acme/app", now) for e in some):
            raise AssertionError("an event is not believed")


if __name__ == "__main__":
    main()
