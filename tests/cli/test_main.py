"""The command line as a whole: what loads, what is said when something is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import gitml, write
from gitml.cli.main import COMMANDS

HEAVY = (
    "dvc",
    "git",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "sklearn",
    "torch",
    "starlette",
    "jinja2",
    "rich",
    "httpx",
    "git",
    "gitdb",
)


def loaded(folder: Path, *words: str) -> set[str]:
    """The top-level modules that a command has loaded when it ends."""
    code = (
        "import sys, atexit\n"
        "tops = lambda: sorted({m.partition('.')[0] for m in sys.modules})\n"
        "atexit.register(lambda: print('LOADED', *tops(), file=sys.stderr))\n"
        f"from gitml.cli.main import main\nmain({list(words)!r})\n"
    )
    # As where nobody tests: tests/startup names a module of scikit-learn in everything that they start.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False, env=env
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.rpartition("LOADED ")[2].split())


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["models"], ["models", "m"], ["show", "m"]])
def test_light_commands_load_nothing_heavy(trained: Path, words: list[str]) -> None:
    modules = loaded(trained, *words)
    assert "gitml" in modules
    assert not modules & set(HEAVY)


def test_help_and_version_load_not_even_pydantic(tmp_path: Path) -> None:
    assert "pydantic" not in loaded(tmp_path, "--help")
    assert "pydantic" not in loaded(tmp_path, "--version")


@pytest.mark.parametrize("command", ["ci_run", "ci_commit"])
def test_jobs_of_a_push_load_no_gates_no_signatures_and_no_client(command: str) -> None:
    unwanted = {"gitml.gates.table", "gitml.spec.policy", "gitml.evidence", "cryptography", "httpx", "numpy", "git"}
    code = f"import sys, gitml.cli.{command}\nprint(*sorted({unwanted!r} & set(sys.modules)))"
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.split() == []


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_with_examples(name: str, tmp_path: Path) -> None:
    done = gitml(tmp_path, name, "--help")
    assert done.code == 0, done.err
    assert "Usage: gitml" in done.out.replace("python -m gitml", "gitml")
    assert "Examples:" in done.out


def test_an_unknown_command_names_the_nearest(tmp_path: Path) -> None:
    done = gitml(tmp_path, "modles")
    assert done.code == 2
    assert "Did you mean 'models'?" in done.err


def test_outside_an_application_the_way_in_is_said(tmp_path: Path) -> None:
    done = gitml(tmp_path, "models")
    assert done.code == 2
    assert "gitml init" in done.err


def test_a_directory_can_be_named(trained: Path, tmp_path: Path) -> None:
    assert gitml(tmp_path, "-C", str(trained), "models").out.startswith("model ")
    assert gitml(tmp_path, "-C", str(tmp_path / "nowhere"), "models").code == 2


def test_no_colour_outside_a_terminal(trained: Path) -> None:
    done = gitml(trained, "show", "m")
    assert "\x1b" not in done.out + done.err


def test_a_reader_that_goes_away_is_no_error(trained: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m gitml show m | head -1", shell=True, cwd=trained, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr
    assert "error" not in done.stderr


def test_hostile_names_do_not_drive_the_terminal(trained: Path) -> None:
    done = gitml(trained, "show", "m@\x1b[2Jx")
    assert done.code == 2
    assert "\x1b" not in done.err


def test_a_bug_says_so(trained: Path) -> None:
    code = "from gitml.cli import main as m\nm.gitml.invoke = lambda ctx: 1 / 0\nm.main(['models'])\n"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=trained, capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 70
    assert "gitml has a bug" in done.stderr
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("redirected", "code"),
    [
        (">&-", 0),
        (">&- 2>&-", 0),
        (">/dev/full", 4),
        ("| true", 0),
    ],
)
def test_output_that_nobody_takes_is_no_bug(trained: Path, redirected: str, code: int) -> None:
    # Buffered, as where nobody asks Python for anything else.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m gitml show m {redirected}"],
        cwd=trained,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "bug" not in done.stderr


def test_a_terminal_without_our_letters_gets_them_escaped_and_json_stays_json(trained: Path) -> None:
    env = {"PYTHONIOENCODING": "latin-1"}
    assert "\\u2192" in gitml(trained, "diff", "m", "m", env=env).out
    spec = (trained / "gitml.yaml").read_text()
    write(trained, {"gitml.yaml": spec.replace("artifact:", "description: 😀→\n    artifact:", 1)})
    assert json.loads(gitml(trained, "models", "--json", env=env).out)[0]["description"] == "😀→"
