"""Every command that the README and the docs show is run, page by page, and prints what the page says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import filelock
import pytest

import forkserver
from conftest import git
from docs.afterwards import AFTERWARDS
from docs.examples import Example, agrees, read

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

# Blocks that stay unexecuted, by page. Each says why, in a comment before it.
NOT_EXECUTED = {
    "CONTRIBUTING.md": 1,
    "README.md": 4,
    "docs/how-to/audit.md": 1,
    "docs/how-to/bring-alibi-detect.md": 1,
    "docs/how-to/build-an-ensemble.md": 1,
    "docs/how-to/canary.md": 4,
    "docs/how-to/ci-github.md": 3,
    "docs/how-to/data-that-arrive-daily.md": 1,
    "docs/how-to/explain.md": 1,
    "docs/how-to/free-disk-space.md": 1,
    "docs/how-to/gate.md": 6,
    "docs/how-to/kpis.md": 2,
    "docs/how-to/promote.md": 4,
    "docs/how-to/register-a-model.md": 2,
    "docs/how-to/report-on-pull-requests.md": 3,
    "docs/how-to/reproduce.md": 1,
    "docs/how-to/retraining.md": 3,
    "docs/how-to/rollback.md": 3,
    "docs/how-to/run-the-agent.md": 9,
    "docs/how-to/gitlab.md": 2,
    "docs/how-to/score-on-a-cluster.md": 2,
    "docs/how-to/serve.md": 2,
    "docs/how-to/size.md": 1,
    "docs/how-to/stream.md": 5,
    "docs/how-to/train-on-a-cluster.md": 1,
    "docs/how-to/site.md": 1,
    "docs/how-to/stolen-key.md": 4,
    "docs/how-to/two-versions.md": 2,
    "docs/how-to/watch.md": 3,
    "docs/reference/clock.md": 1,
    "docs/tutorial/ageing.md": 1,
    "docs/tutorial/promote.md": 11,
}


# Trains nothing and stays under a few seconds; the other pages are the night's.
QUICK = ("docs/how-to/start-an-application.md", "docs/reference/traffic.md")


def pages() -> list[str]:
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    names = [p.relative_to(ROOT).as_posix() for p in files if "_build" not in p.parts]
    return [name for name in names if "```console\n" in (ROOT / name).read_text(encoding="utf-8")]


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of who reads the pages; its `bin` has a `gitml` and a `dvc` that fork."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "bin").mkdir()
    forkserver.commands(folder / "bin")
    return folder


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, home: Path, worker_id: str) -> Path:
    """A fresh clone in which `make demo` trained, once for all pages and for all processes that run tests."""
    base = tmp_path_factory.getbasetemp()
    base = base if worker_id == "master" else base.parent
    folder = base / "demo" / "gitml"
    with filelock.FileLock(base / "demo.lock"):
        if not folder.exists():
            fresh = base / "demo" / "fresh"
            shutil.rmtree(fresh.parent, ignore_errors=True)
            fresh.parent.mkdir()
            git(base, "clone", "-q", str(ROOT), str(fresh))
            code, printed, _ = shell("gitml train delay", fresh, home)
            assert code == 0, printed
            fresh.rename(folder)
    return folder


def shell(command: str, folder: Path, home: Path) -> tuple[int, str, Path]:
    """Exit code, everything printed, and the folder that the shell is in afterwards."""
    where = home / "pwd"
    env = {k: v for k, v in os.environ.items() if k != "CI" and not k.startswith("GIT")}
    person = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in ADA.items()}
    env |= {
        **person,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "HOME": str(home),
        "PATH": f"{home}/bin:{BIN}:{os.environ['PATH']}",
    }
    env |= {"XDG_STATE_HOME": str(home / "state"), "XDG_CACHE_HOME": str(home / "cache"), "COLUMNS": "120"}
    done = subprocess.run(
        ["bash", "-c", f"trap 'pwd > \"{where}\"' EXIT\n{command}"],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
        check=False,
    )
    return done.returncode, done.stdout, Path(where.read_text(encoding="utf-8").strip())


ADA = {"NAME": "Ada", "EMAIL": "ada@example.com"}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.nightly) for name in pages()]
)
def test_the_commands_of_a_page_do_what_it_says(
    name: str, tmp_path: Path, home: Path, request: pytest.FixtureRequest
) -> None:
    page = read((ROOT / name).read_text(encoding="utf-8"))
    if not page.examples:
        return
    folder = tmp_path
    if page.place != "an empty folder":
        folder = tmp_path / "gitml"
        shutil.copytree(request.getfixturevalue("demo"), folder, symlinks=True)
    for example in page.examples:
        folder = run(name, example, folder, home)
    if name in AFTERWARDS:
        AFTERWARDS[name](folder)


def run(name: str, example: Example, folder: Path, home: Path) -> Path:
    code, printed, after = shell(example.command, folder, home)
    at = f"{name}:{example.line}: {example.command}"
    assert (code != 0) == example.fails, f"{at}\nexit code {code}\n{printed}"
    # A page that shows no output says nothing about it.
    if example.shown.strip():
        assert agrees(example.shown, printed), f"{at}\n--- shown\n{example.shown}\n--- printed\n{printed}"
    return after


def test_every_page_is_executed_but_for_the_blocks_counted_here() -> None:
    skipped = {name: len(read((ROOT / name).read_text(encoding="utf-8")).skipped) for name in pages()}
    assert {name: count for name, count in skipped.items() if count} == NOT_EXECUTED


def test_pages_start_where_the_runner_knows() -> None:
    places = {read((ROOT / name).read_text(encoding="utf-8")).place for name in pages()}
    assert places <= {"", "an empty folder"}


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("a\nb", "a\nc"),
        ("auc  0.7039", "auc  0.5"),
        ("19283 rows", "19284 rows"),
        ("delay@9a48e710", "delay@9a48"),
        ("a\n...\nz", "a\nb"),
        ("done", "done\nand more"),
        ("record: models/m/versions/20261124T220405Z-9a48e710.json", "record: models/m/versions/latest.json"),
    ],
)
def test_what_does_not_agree_is_found(shown: str, printed: str) -> None:
    assert not agrees(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("  train   ran    15.3 s", "  train …\n  train   ran   1 min 2 s"),
        ("auc  0.7039  +0.05336 … +0.08", "auc   0.7041   +0.05401 … +0.08"),
        ("of 2026-11-24, x", "of 2027-01-01, x"),
        ("a\n...\nz", "a\nb\nc\nz"),
        ("1.0 and 10.5", "1 and 10.5"),
    ],
)
def test_what_agrees_is_let_pass(shown: str, printed: str) -> None:
    assert agrees(shown, printed)


def test_a_block_is_read_with_its_lines_commands_and_reasons() -> None:
    page = read(
        "# T\n<!-- starts in: an empty folder -->\n\n```console\n$ echo 1 \\\n> 2\n1 2\n$ false\nerror: no\n```\n\n"
        "<!-- not executed: needs a network -->\n```console\n$ curl\n```\n"
    )
    assert page.place == "an empty folder"
    assert page.examples == (Example(5, "echo 1 \\\n2", "1 2"), Example(8, "false", "error: no"))
    assert [e.fails for e in page.examples] == [False, True]
    assert page.skipped == ("needs a network",)
