"""Five merged promotions in a minute of 200 requests a second: none fails, and each is answered by what it names.

Two models, requests on kept connections and on new ones, one to three rows each. ``python -m benchmarks.swap 10`` is
shorter, ``python -m benchmarks.swap 60 2`` has two processes behind the port.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).parent.parent / "tests"
SWAPS = (("m", 2.0), ("n", 4.0), ("m", 3.0), ("n", 5.0), ("m", 4.0))


def main(seconds: float = 60.0, processes: int = 1) -> None:
    sys.path.append(str(TESTS))
    from agent.kit import World
    from agent.swapping import Counted, Load
    from agent.test_http import knock, running

    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder)).begin()
        versions = {
            (model, slope): world.version(slope, model) for model in "mn" for slope in (1.0, 2.0, 3.0, 4.0, 5.0)
        }
        for model in "mn":
            world.promote(versions[model, 1.0], model)
        live: list[float] = []
        counted = Counted()
        with running(world, "--processes", str(processes)) as process:
            process.wait(lambda s: s["sync"] == "synced" and len(s["models"]) == 2)

            async def swaps() -> None:
                for model, slope in SWAPS:
                    await asyncio.sleep(seconds / (len(SWAPS) + 1))
                    await asyncio.to_thread(world.promote, versions[model, slope], model)
                    began = time.monotonic()
                    await asyncio.to_thread(knock, process)
                    wanted = versions[model, slope]
                    await asyncio.to_thread(
                        process.wait,
                        lambda s, v=wanted: any((m["applied"] or {}).get("champion") == v for m in s["models"]),
                    )
                    live.append(time.monotonic() - began)
                await asyncio.sleep(seconds / (len(SWAPS) + 1))

            slopes = {version: slope for (_, slope), version in versions.items()}
            port = int(process.url.rpartition(":")[2])
            took = asyncio.run(Load("127.0.0.1", port, slopes).run(counted, swaps))
    print(f"{processes} processes, {len(SWAPS)} swaps, {len(counted.answers)} versions answered")
    print(f"{counted.total:,} requests in {took:.0f} s")
    print(f"failed {len(counted.failed)}, wrong {len(counted.wrong)} {(counted.failed + counted.wrong)[:3] or ''}")
    print(
        f"p50 {1000 * counted.at(0.5):.1f} ms, p99 {1000 * counted.at(0.99):.1f} ms, most {1000 * counted.at(1):.0f} ms"
    )
    print(f"from the webhook to live: {min(live):.2f} to {max(live):.2f} s")


if __name__ == "__main__":
    main(*(float(word) for word in sys.argv[1:2]), *(int(word) for word in sys.argv[2:3]))
