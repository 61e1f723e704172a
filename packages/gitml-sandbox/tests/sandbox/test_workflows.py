"""Workflow files: what GitHub takes, what it refuses, and why."""

from pathlib import Path

import pytest

from gitml_sandbox.actions import workflows
from gitml_sandbox.actions.workflows import Broken, Workflow, WorkflowError, parse
from sandbox.forge_kit import commit, git

GOOD = "on: push\njobs:\n  a:\n    runs-on: x\n    steps: [{run: ls}]\n"


@pytest.mark.parametrize(
    ("on", "events"),
    [
        ("on: push", ["push"]),
        ("on: [push, pull_request]", ["push", "pull_request"]),
        ("on:\n  push:\n    branches: main\n  schedule:\n    - cron: '0 0 * * *'", ["push", "schedule"]),
        ("'on': push", ["push"]),
        ("true: push", ["push"]),
        ("%YAML 1.1\n---\non: push", ["push"]),
    ],
)
def test_all_ways_to_write_on(on: str, events: list[str]) -> None:
    found = parse("w.yml", GOOD.replace("on: push", on))
    assert list(found.on) == events
    assert found.name == "w.yml"


def test_filters_are_tuples_of_text() -> None:
    text = GOOD.replace(
        "on: push", "on: {push: {branches: main, paths-ignore: [a, 1.0]}, schedule: [{cron: '* * * * *'}]}"
    )
    found = parse("w.yml", text)
    assert found.on["push"].filters == {"branches": ("main",), "paths-ignore": ("a", "1.0")}
    assert found.on["schedule"].crons == ("* * * * *",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: [", "not valid YAML"),
        ("- a", "not a mapping"),
        ("jobs: {}", "no `on:`"),
        ("on: push", "no `jobs:`"),
        (GOOD.replace("runs-on: x", "name: x"), "no `runs-on:`"),
        (GOOD.replace("steps: [{run: ls}]", "steps: []"), "no `steps:`"),
        (GOOD + "    needs: [b]\n", "needs `b`"),
        (GOOD + "    needs: [a]\n", "circle"),
        (GOOD.replace("on: push", "on: {push: {branches: a, branches-ignore: b}}"), "both `branches`"),
        (GOOD.replace("on: push", "on: {push: {paths: ['!a']}}"), "only `!` patterns"),
        (GOOD.replace("on: push", "on: {workflow_run: {types: [completed]}}"), "needs `workflows:`"),
        (GOOD.replace("on: push", "on: {schedule: {cron: x}}"), "list of `cron:`"),
        ("on: push\non: push\njobs: {}", "not valid YAML"),
        (GOOD.replace("on: push", "on: {schedule: [{cron: '@daily'}]}"), "no cron line"),
        (GOOD.replace("on: push", "on: {schedule: [{cron: '61 * * * *'}]}"), "no cron line"),
    ],
)
def test_refused_files_say_why(text: str, reason: str) -> None:
    with pytest.raises(WorkflowError, match=reason):
        parse("w.yml", text)


def test_aliases_that_unfold_without_end_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(WorkflowError, match="unfolds"):
        parse("w.yml", "\n".join(lines))


def merge_bomb() -> str:
    """Less than 900 bytes that unfold to 4 to the power of 19 keys while they are read."""
    lines = ["x0: &x0 {k: v}"]
    lines += [f"x{n}: &x{n} {{<<: [{', '.join([f'*x{n - 1}'] * 4)}]}}" for n in range(1, 20)]
    return GOOD + "\n".join(lines)


def test_merge_keys_are_refused_before_they_unfold() -> None:
    assert len(merge_bomb()) < 900
    with pytest.raises(WorkflowError, match="merge keys"):
        parse("w.yml", merge_bomb())
    with pytest.raises(WorkflowError, match="merge keys"):
        parse("w.yml", GOOD + "x: &x {a: b}\ny: {<<: *x}\n")


@pytest.mark.parametrize("value", ["&a [*a]", "!!binary aGk=", "!!set {a}", "2001-01-01T00:00:00+99:99", "[" * 600])
def test_values_that_workflows_do_not_have_are_refused(value: str) -> None:
    with pytest.raises(WorkflowError):
        parse("w.yml", f"{GOOD}x: {value}\n")


def test_files_of_a_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    commit(tmp_path, ".github/workflows/b.yml", GOOD)
    commit(tmp_path, ".github/workflows/a.yaml", "on: push")
    commit(tmp_path, ".github/workflows/notes.txt", "no workflow")
    commit(tmp_path, ".github/workflows/sub/c.yml", GOOD)
    (tmp_path / ".github/workflows/link.yml").symlink_to("b.yml")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "link")
    found = workflows.read_all(tmp_path, "HEAD")
    assert [type(f) for f in found] == [Broken, Workflow]
    assert [f.path for f in found] == [".github/workflows/a.yaml", ".github/workflows/b.yml"]
    assert workflows.read_all(tmp_path, "HEAD~4") != []


def test_a_commit_without_workflows(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    commit(tmp_path, "a", "b")
    assert workflows.read_all(tmp_path, "HEAD") == []


def test_large_files_are_refused_before_they_are_read(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    dense = "# " + "x" * 300_000 + "\n"
    for name in ("a", "b", "c", "d"):
        commit(tmp_path, f".github/workflows/{name}.yml", GOOD + dense)
    commit(tmp_path, ".github/workflows/huge.yml", GOOD + "# " + "x" * workflows.MAX_BYTES)
    found = {f.path.rpartition("/")[2]: f for f in workflows.read_all(tmp_path, "HEAD")}
    assert [name for name, f in found.items() if isinstance(f, Workflow)] == ["a.yml", "b.yml", "c.yml"]
    assert "together" in found["d.yml"].reason  # type: ignore[union-attr]
    assert "larger than 512 KiB" in found["huge.yml"].reason  # type: ignore[union-attr]


def test_the_same_file_is_read_once(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    commit(tmp_path, ".github/workflows/a.yml", GOOD)
    (first,) = workflows.read_all(tmp_path, "HEAD")
    commit(tmp_path, "other", "x")
    (second,) = workflows.read_all(tmp_path, "HEAD")
    assert second is first
