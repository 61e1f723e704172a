"""The forks that stand for new processes in tests behave like new processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from conftest import at_home, git, gitml, write
from forkserver import call, needs_new_interpreter


@pytest.mark.parametrize(
    "words", [["check"], ["check", "--json"], ["show", "m@nothing"], ["train", "nothing"], ["nope"]]
)
def test_a_fork_says_what_a_new_process_says(toy: Path, words: list[str]) -> None:
    env = {**at_home(), "GIT_CONFIG_GLOBAL": os.devnull}
    new = subprocess.run([sys.executable, "-m", "gitml", *words], cwd=toy, env=env, capture_output=True, text=True)
    code, out, err = call(("gitml", *words), toy, env, 60)
    assert (code, out) == (new.returncode, new.stdout)
    assert err == new.stderr.replace("python -m gitml", "gitml")


def test_a_fork_has_the_folder_and_environment_of_its_caller_and_nothing_of_the_one_before(toy: Path) -> None:
    stage = (
        "import os, sys\nprint('SEEN', os.getcwd(), os.environ.get('MARK'), sys.stdin.read())\nraise SystemExit(3)\n"
    )
    write(toy, {"ingest.py": stage})
    git(toy, "commit", "-qam", "look around")
    first = gitml(toy, "train", env={"MARK": "one"})
    assert f"SEEN {toy} one" in first.out + first.err
    second = gitml(toy, "train")
    assert f"SEEN {toy} None" in second.out + second.err
    assert first.code == second.code == 1


@pytest.mark.nightly
def test_a_caller_that_gives_up_takes_the_command_and_its_children_with_it(toy: Path) -> None:
    write(toy, {"ingest.py": "import time, os\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(60)\n"})
    with pytest.raises(subprocess.TimeoutExpired):
        gitml(toy, "train", timeout=3)
    pid = int((toy / "pid").read_text())
    end = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end, "the stage goes on"
        time.sleep(0.02)


@pytest.mark.parametrize("name", ["PYTHONUTF8", "LC_ALL", "TZ", "HOME"])
def test_what_an_interpreter_reads_at_its_start_gets_a_new_one(name: str) -> None:
    assert needs_new_interpreter(("gitml", "check"), {**os.environ, name: "x"})
    assert needs_new_interpreter(("gitml", "sandbox", "up"), dict(os.environ))
    assert not needs_new_interpreter(("gitml", "train"), {**os.environ, "CI": "true"})
