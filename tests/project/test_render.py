"""``gitml ci render`` and ``gitml ci check``, as people call them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from conftest import git, gitml, write
from gitml import __version__
from gitml.errors import UsageError
from gitml.project.check import check
from gitml.project.render import Did, render_workflows, workflows

FILES = [f".github/workflows/gitml-{kind}.yml" for kind in ("fork-report", "fork", "ready", "train")]
TRAIN = FILES[-1]


def says(folder: Path) -> dict[str, str]:
    done = gitml(folder, "ci", "render")
    assert done.code == 0, done.err
    return {path: did for did, path in (line.split(maxsplit=1) for line in done.out.splitlines())}


def test_rendering_twice_changes_nothing(toy: Path) -> None:
    assert says(toy) == dict.fromkeys(FILES, "created")
    before = {path: (toy / path).stat().st_mtime_ns for path in FILES}
    assert says(toy) == dict.fromkeys(FILES, "same")
    assert {path: (toy / path).stat().st_mtime_ns for path in FILES} == before
    assert f"pip install gitml=={__version__}\n" in (toy / TRAIN).read_text()
    assert gitml(toy, "ci", "check").out == "4 workflows: as rendered\n"


def test_check_says_when_workflows_are_of_another_gitml_yaml(toy: Path) -> None:
    assert check(toy).cautions == ()  # none was ever rendered
    render_workflows(toy)
    assert check(toy).cautions == ()
    path = toy / "gitml.yaml"
    path.write_text(path.read_text().replace("models:", "hardware: {cpu: [self-hosted]}\nmodels:"))
    (found,) = check(toy).cautions
    assert found.file in FILES
    assert found.message == "is not what gitml.yaml asks for, nor are 3 others"
    assert found.hint == "run `gitml ci render`, and commit what it writes"


def test_bytes_do_not_depend_on_the_machine(toy: Path) -> None:
    says(toy)
    first = {path: (toy / path).read_bytes() for path in FILES}
    for env in ({"PYTHONHASHSEED": "1", "LANG": "C"}, {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo", "PYTHONUTF8": "0"}):
        shutil.rmtree(toy / ".github")
        assert gitml(toy, "ci", "render", env=env).code == 0
        assert {path: (toy / path).read_bytes() for path in FILES} == first


@pytest.mark.parametrize("where", [0.0, 0.3, 0.5, 1.0])
def test_one_byte_is_enough_for_the_check_to_fail(toy: Path, where: float) -> None:
    render_workflows(toy)
    for path in FILES:
        content = bytearray((toy / path).read_bytes())
        place = int((len(content) - 1) * where)
        content[place] ^= 1
        (toy / path).write_bytes(content)
        if where == 0.0:  # the first line says whose file it is
            with pytest.raises(UsageError, match="gitml did not render it"):
                workflows(toy)
        else:
            (changed,) = (file for file in workflows(toy) if file.change is not Did.SAME)
            assert (changed.path, changed.change, len(changed.diff) > 0) == (path, Did.CHANGED, True)
        content[place] ^= 1
        (toy / path).write_bytes(content)


def test_the_check_says_what_to_do(toy: Path) -> None:
    render_workflows(toy)
    text = (toy / TRAIN).read_text()
    (toy / TRAIN).write_text(text.replace("timeout-minutes: 360", "timeout-minutes: 361"))
    done = gitml(toy, "ci", "check")
    assert done.code == 1
    assert f"--- {TRAIN}\tas it is\n+++ {TRAIN}\tas rendered\n" in done.out
    assert "-    timeout-minutes: 361\n+    timeout-minutes: 360\n" in done.out
    assert "run `gitml ci render`" in done.err
    assert "361" in (toy / TRAIN).read_text()


def test_line_endings_and_a_missing_last_one_count(toy: Path) -> None:
    render_workflows(toy)
    text = (toy / TRAIN).read_bytes()
    for other, shown in ((text.replace(b"\n", b"\r\n"), "\\r"), (text[:-1], "no newline at the end")):
        (toy / TRAIN).write_bytes(other)
        done = gitml(toy, "ci", "check")
        assert done.code == 1
        assert shown in done.out
        render_workflows(toy)
        assert (toy / TRAIN).read_bytes() == text


def test_the_check_shows_what_another_gitml_yaml_would_change(toy: Path) -> None:
    render_workflows(toy)
    text = (toy / "gitml.yaml").read_text()
    write(toy, {"gitml.yaml": text + "hardware: {cpu: [ubuntu-24.04]}\nci: {forks: false}\n"})
    done = gitml(toy, "ci", "check")
    assert done.code == 1
    assert "-    runs-on: ubuntu-latest\n+    runs-on: ubuntu-24.04\n" in done.out
    assert f"--- {FILES[0]}\tas it is\n+++ /dev/null\tas rendered\n" in done.out
    found = {f["path"]: f["change"] for f in json.loads(gitml(toy, "ci", "check", "--json").out)}
    assert found == dict(zip(FILES, ("removed", "removed", "changed", "changed"), strict=True))
    assert says(toy) == found
    assert sorted(p.name for p in (toy / ".github/workflows").iterdir()) == ["gitml-ready.yml", "gitml-train.yml"]


def test_a_missing_file_is_a_difference(toy: Path) -> None:
    render_workflows(toy)
    (toy / TRAIN).unlink()
    done = gitml(toy, "ci", "check")
    assert done.code == 1
    assert f"--- /dev/null\tas it is\n+++ {TRAIN}\tas rendered\n" in done.out
    assert not (toy / TRAIN).exists()


def test_workflows_of_others_are_left_alone(toy: Path) -> None:
    others = {".github/workflows/ci.yml": "name: CI\n", ".github/workflows/gitml-nightly.yml": "name: mine\n"}
    write(toy, others)
    says(toy)
    assert {path: (toy / path).read_text() for path in others} == others
    write(toy, {TRAIN: "name: mine too\n"})
    done = gitml(toy, "ci", "render")
    assert (done.code, "in the way" in done.err) == (2, True)
    assert (toy / TRAIN).read_text() == "name: mine too\n"


@pytest.mark.parametrize("link", [".github", ".github/workflows", TRAIN])
def test_nothing_is_written_through_a_link(toy: Path, tmp_path: Path, link: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (toy / link).parent.mkdir(parents=True, exist_ok=True)
    (toy / link).symlink_to(outside, target_is_directory=True)
    done = gitml(toy, "ci", "render")
    assert (done.code, "symbolic link" in done.err) == (2, True)
    assert list(outside.iterdir()) == []


def test_applications_in_folders_have_their_own_files(toy: Path) -> None:
    """Two applications in one repository: neither takes the other's files for its own."""
    says(toy)
    shutil.copytree(toy, toy / "apps" / "two", ignore=shutil.ignore_patterns(".git", ".github", ".dvc"))
    folder = toy / "apps" / "two"
    write(folder, {"gitml.yaml": (folder / "gitml.yaml").read_text().replace("application: toy", "application: two")})
    assert says(folder) == {path.replace("gitml-", "gitml-two-"): "created" for path in FILES}
    assert says(toy) == dict.fromkeys(FILES, "same")
    text = (toy / ".github/workflows/gitml-two-train.yml").read_text()
    assert text.startswith("# Rendered from apps/two/gitml.yaml:")
    assert "working-directory: apps/two" in text


def test_there_must_be_something_to_train(toy: Path) -> None:
    text = "application: toy\nmodels:\n  m: {origin: external, artifact: x.onnx, metrics: x.json}\n"
    write(toy, {"gitml.yaml": text})
    done = gitml(toy, "ci", "render")
    assert (done.code, "no model here has stages" in done.err) == (2, True)


def test_it_needs_a_repository(tmp_path: Path) -> None:
    write(tmp_path, {"gitml.yaml": "application: a\nmodels:\n  m: {artifact: m.onnx, metrics: m.json}\n"})
    done = gitml(tmp_path, "ci", "render")
    assert (done.code, "not in a Git repository" in done.err) == (4, True)


def test_this_repository_has_what_would_be_rendered() -> None:
    root = Path(__file__).parents[2]
    done = gitml(root, "ci", "check")
    assert done.code == 0, done.out + done.err
    assert "pip install ." in (root / TRAIN).read_text()
    governed = [f".github/workflows/gitml-{kind}.yml" for kind in ("gate", "main", "reproduce", "review")]
    there = sorted([".github/CODEOWNERS", *FILES, *governed])
    assert git(root, "ls-files", "--", *there).splitlines() == there


POLICY = """\
roles: {operations: {people: [olga]}, risk: {people: [rita], teams: [acme/risk]}}
environments:
  staging: {approvals: {operations: 1}}
  production: {approvals: {operations: 1, risk: 1}}
"""
MINE = "# ours\n*.md @docs\n"


def test_owners_stand_where_the_forge_of_the_ci_system_reads_them(toy: Path) -> None:
    """A move from GitHub to GitLab takes them along; lines of others stay where they are."""
    write(toy, {"policy.yaml": POLICY})
    render_workflows(toy)
    text = (toy / ".github/CODEOWNERS").read_text()
    with (toy / "gitml.yaml").open("a") as file:
        file.write("\nci: {system: gitlab}\n")
    did = {file.path: file.change.value for file in render_workflows(toy) if file.path.endswith("CODEOWNERS")}
    assert did == {".gitlab/CODEOWNERS": "created", ".github/CODEOWNERS": "removed"}
    assert (toy / ".gitlab/CODEOWNERS").read_text().startswith(text.partition("\n")[0])
    assert "/.gitlab/ci/ " in (toy / ".gitlab/CODEOWNERS").read_text()
    write(toy, {"CODEOWNERS": MINE})
    did = {file.path: file.change.value for file in render_workflows(toy) if file.path.endswith("CODEOWNERS")}
    assert did == {".gitlab/CODEOWNERS": "removed", "CODEOWNERS": "changed"}, "the first that is there is read"
    assert not [file for file in workflows(toy) if file.change.value != "same"]


def test_a_policy_brings_the_gate_and_owners_and_takes_them_along_when_it_goes(toy: Path) -> None:
    write(toy, {"policy.yaml": POLICY, "CODEOWNERS": MINE})
    did = says(toy)
    kinds = ("fork-report", "fork", "gate", "main", "ready", "review", "train")
    workflow = {f".github/workflows/gitml-{kind}.yml": "created" for kind in kinds}
    assert did == {"CODEOWNERS": "changed", **workflow}
    owned = (toy / "CODEOWNERS").read_text()
    assert owned.startswith(MINE)
    assert "/models/*/staging.yaml @olga\n/models/*/production.yaml @olga @rita @acme/risk\n" in owned
    assert not (toy / ".github" / "CODEOWNERS").exists()
    assert set(says(toy).values()) == {"same"}
    (toy / "policy.yaml").unlink()
    did = says(toy)
    assert {path for path, what in did.items() if what == "removed"} == {
        f".github/workflows/gitml-{kind}.yml" for kind in ("gate", "main", "review")
    }
    assert (toy / "CODEOWNERS").read_text() == MINE


def test_reproducing_is_a_workflow_where_somebody_asks_for_it(toy: Path) -> None:
    path = toy / ".github/workflows/gitml-reproduce.yml"
    for policy, wanted in (
        (POLICY, False),
        (POLICY + "trust: {branch_runs: reproduce}\n", True),
        (POLICY.replace("risk: 1}", "risk: 1}, models: {m: {gates: {reproduced: true}}}"), True),
        (POLICY.replace("risk: 1}", "risk: 1}, gates: {evidence: {reproduced: 90d}}"), True),
    ):
        write(toy, {"policy.yaml": policy})
        says(toy)
        assert path.exists() is wanted


def test_models_of_others_have_a_gate_without_any_training(toy: Path) -> None:
    text = "application: toy\nmodels:\n  m: {origin: external, artifact: x.onnx, metrics: x.json}\n"
    write(toy, {"gitml.yaml": text, "policy.yaml": POLICY})
    assert [p for p in says(toy) if p.endswith(".yml")] == [
        f".github/workflows/gitml-{kind}.yml" for kind in ("gate", "main", "review")
    ]
