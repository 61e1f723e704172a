"""The loop on this machine: push, training under act, a report, reviewed promotions, serving, weeks of traffic, alarm.

    python demo/run.py up           start over, show every step; on a terminal all stays up for a look
    python demo/run.py turn DAYS    turn the clock ahead: commands, jobs and agents of the demo follow
    python demo/run.py stop         stop what it started and forget it

Exit code 0 only if every step held.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import clock
import promote
import push
import replay
import serve
from box import GITML, PLACE, ROOT, STATE, Box, StepError, need, say, start, step


def main() -> int:
    match sys.argv[1:]:
        case ["stop"]:
            stop()
            return 0
        case ["turn", days] if days.isdecimal():
            return turn(int(days))
        case ["up"]:
            return up()
    sys.exit(str(__doc__))


def turn(days: int) -> int:
    try:
        clock.turn(days)
    except StepError as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


def up() -> int:
    stays = sys.stdin.isatty() and sys.stdout.isatty()
    held = False
    try:
        stop()
        clock.begin()
        with own_training() as show_own:
            show_loop(start(), show_own)
        held = True
    except StepError as exc:
        print(f"\nthe demo stopped here: {exc}", file=sys.stderr)
    finally:
        if not (held and stays):
            stop()
    if held and stays:
        print("\nSandbox and agents stay up: look around, review, merge. `make demo-stop` ends them.")
    return 0 if held else 1


@contextmanager
def own_training() -> Iterator[Callable[[], None]]:
    """The model of this clone is trained meanwhile, as the README goes on with it; a call waits for it and shows it."""
    words = [*GITML, "train", "delay"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as training:

        def show() -> None:
            step("Trained meanwhile: the model of this clone, with the weather")
            said, _ = training.communicate()
            for line in said.rstrip().splitlines():
                if not line.endswith(" …"):  # what a terminal repaints
                    say(line)
            need(training.returncode == 0, "this clone's own model was not trained")

        try:
            yield show
        finally:
            training.terminate()


def show_loop(box: Box, show_own: Callable[[], None]) -> None:
    push.application(box)
    show_own()
    number = push.show_training(box)
    promote.merge_training(box, number)
    promote.show_staging(box)
    serve.show_agent(box, "staging")
    number = promote.show_production(box)
    replay.show_weeks(box, serve.show_agent(box, "production"))
    replay.show_alarm(box, number)
    serve.show_state(box)


def stop() -> None:
    serve.stop_agents()
    if (STATE / "sandbox.db").exists():
        words = ["sandbox", "down", "--state", str(STATE), "--delete"]
        subprocess.run([*GITML, *words], check=False, capture_output=True)
    shutil.rmtree(PLACE, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
