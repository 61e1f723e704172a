"""The loop on this machine: push, training under act, a report, promotions by reviewed pull requests, serving.

    python demo/run.py up           start over, show every step; on a terminal all stays up for a look
    python demo/run.py up --clock   the same, with a clock that can be turned
    python demo/run.py turn DAYS    turn it ahead: commands, jobs and agents of the demo follow
    python demo/run.py stop         stop what it started and forget it

Exit code 0 only if every step held.
"""

from __future__ import annotations

import shutil
import subprocess
import sys

import clock
import promote
import push
import serve
from box import GITML, PLACE, STATE, Box, StepError, start


def main() -> int:
    match sys.argv[1:]:
        case ["stop"]:
            stop()
            return 0
        case ["turn", days] if days.isdecimal():
            return turn(int(days))
        case ["up", *options] if options in ([], ["--clock"]):
            return up(turnable=bool(options))
    sys.exit(str(__doc__))


def turn(days: int) -> int:
    try:
        clock.turn(days)
    except StepError as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


def up(*, turnable: bool) -> int:
    stays = sys.stdin.isatty() and sys.stdout.isatty()
    held = False
    try:
        stop()
        if turnable:
            clock.begin()
        show_loop(start())
        held = True
    except StepError as exc:
        print(f"\nthe demo stopped here: {exc}", file=sys.stderr)
    finally:
        if not (held and stays):
            stop()
    if held and stays:
        print("\nSandbox and agents stay up: look around, review, merge. `make demo-stop` ends them.")
    return 0 if held else 1


def show_loop(box: Box) -> None:
    number = push.show_training(box)
    promote.merge_training(box, number)
    promote.show_staging(box)
    serve.show_agent(box, "staging")
    promote.show_production(box)
    url = serve.show_agent(box, "production")
    serve.send_flights(url)
    serve.show_log(box)
    serve.show_state(box)


def stop() -> None:
    serve.stop_agents()
    if (STATE / "sandbox.db").exists():
        words = ["sandbox", "down", "--state", str(STATE), "--delete"]
        subprocess.run([*GITML, *words], check=False, capture_output=True)
    shutil.rmtree(PLACE, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
