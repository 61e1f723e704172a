"""Artifacts: handed over between jobs through the sandbox, and what the sandbox refuses to keep."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from gitml_sandbox.actions import artifacts
from gitml_sandbox.forge.refusals import RefusalError
from sandbox.runner_kit import Works
from sandbox.web_kit import browser


@pytest.mark.slow
@pytest.mark.nightly
def test_files_travel_between_jobs_by_name_by_pattern_and_all_together(works: Works) -> None:
    works.flow(
        """
        on: push
        jobs:
          make:
            runs-on: ubuntu-latest
            strategy: {matrix: {n: [1, 2]}}
            steps:
              - run: mkdir -p out/deep; echo x > out/deep/x; echo h > out/.h
              - run: echo "model ${{ matrix.n }}" > out/m${{ matrix.n }}
              - uses: actions/upload-artifact@v4
                with: {name: "part-${{ matrix.n }}", path: out}
              - uses: actions/upload-artifact@65c4c4a1ddee5b72f698fdd19549f0f0fb45cf08
                with:
                  name: picked-${{ matrix.n }}
                  path: |
                    out/**
                    !out/deep/**
          use:
            needs: make
            runs-on: ubuntu-latest
            steps:
              - uses: actions/download-artifact@v4
                with: {name: part-1, path: one}
              - uses: actions/download-artifact@v5
                with: {pattern: part-*, path: many}
              - uses: actions/download-artifact@v4
                with: {pattern: part-*, path: merged, merge-multiple: true}
              - uses: actions/download-artifact@v4
                with: {path: all}
              - run: |
                  set -x
                  test "$(cat one/m1)" = "model 1"; test -f one/deep/x; test ! -e one/.h
                  test -f many/part-1/m1; test -f many/part-2/m2
                  test -f merged/m1; test -f merged/m2
                  test "$(ls all | wc -l)" = 4; test "$(ls all/picked-2)" = m2
        """
    )
    jobs = works.only()
    assert jobs["use"]["conclusion"] == "success", works.log(jobs["use"])
    run = works.runs()[0]["id"]
    listed = works.api("GET", f"/actions/runs/{run}/artifacts").json()
    assert listed["total_count"] == 4
    link = works.api("GET", f"/actions/artifacts/{listed['artifacts'][0]['id']}/zip").headers["location"]
    with zipfile.ZipFile(io.BytesIO(httpx.get(link).content)) as archive:
        assert {"deep/x"} < set(archive.namelist())
    assert httpx.get(link.replace("signature=", "signature=0")).status_code == 404
    pages_do_nothing(works, run, listed["artifacts"][0]["id"])


def pages_do_nothing(works: Works, run: int, number: int) -> None:
    """What an artifact shows is a stranger's page at this address."""
    ada, nobody = browser(works.kit, "ada"), browser(works.kit)
    home = f"/{works.repo.full_name}/actions"
    address = f"{home}/artifacts/{number}/pages"
    assert address not in ada.get(home), "there is no page in it"
    with zipfile.ZipFile(works.kit.sandbox.root / "artifacts" / str(run) / f"{number}.zip", "w") as archive:
        archive.writestr("index.html", "<script>alert(1)</script>")
        archive.writestr("x/page.HTML", "two")
    assert address in ada.get(home)
    assert address in ada.get(f"{home}/runs/{run}")
    assert address not in nobody.get(home)
    assert nobody.client.get(address).status_code == 303
    link = str(ada.client.get(address).headers["location"])
    shown = ada.client.get(link)
    policy = shown.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none';")
    assert "allow-" not in policy
    assert "set-cookie" not in shown.headers
    assert nobody.get(f"{link}x/page.HTML") == "two"
    for wrong in ("../../secrets.key", "%2e%2e/%2e%2e/secrets.key", "x", "none.html", "/etc/passwd"):
        assert nobody.client.get(link + wrong).status_code == 404, wrong
    assert nobody.client.get(link.replace(f"/{number}/", f"/{number + 1}/")).status_code == 404
    works.kit.sandbox.clock.turn(hours=2)  # type: ignore[attr-defined]
    assert nobody.client.get(link).status_code == 404, "it holds for an hour"


def test_a_missing_artifact_and_a_second_one_of_a_name_fail(works: Works) -> None:
    works.flow(
        """
        on: push
        jobs:
          missing: {runs-on: ubuntu-latest, steps: [{uses: actions/download-artifact@v4, with: {name: none}}]}
          nothing:
            runs-on: ubuntu-latest
            steps:
              - {uses: actions/upload-artifact@v4, with: {path: none}}
              - {uses: actions/upload-artifact@v4, with: {path: none, if-no-files-found: error}}
          twice:
            runs-on: ubuntu-latest
            steps:
              - run: echo 1 > a
              - {uses: actions/upload-artifact@v4, with: {name: t, path: a}}
              - {uses: actions/upload-artifact@v4, with: {name: t, path: a, overwrite: true}}
              - {uses: actions/upload-artifact@v4, with: {name: t, path: a}}
          hostile:
            runs-on: ubuntu-latest
            steps:
              - run: echo 1 > a
              - {uses: actions/upload-artifact@v4, with: {name: ../../etc, path: a}}
        """
    )
    jobs = works.only()
    assert {j["conclusion"] for j in jobs.values()} == {"failure"}
    assert "Artifact not found for name: none" in works.log(jobs["missing"])
    assert "##[warning]No files were found" in works.log(jobs["nothing"])
    assert "exists already" in works.log(jobs["twice"])
    assert works.log(jobs["twice"]).count("Artifact t: 1 files") == 2
    assert "name is not valid" in works.log(jobs["hostile"])


def archive(folder: Path, change: Callable[[zipfile.ZipFile], None]) -> Path:
    file = folder / "a.zip"
    with zipfile.ZipFile(file, "w") as made:
        change(made)
    return file


def link(made: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo("link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    made.writestr(entry, "/etc/passwd")


def named(name: str) -> Callable[[zipfile.ZipFile], None]:
    return lambda made: made.writestr(zipfile.ZipInfo(name), "x")


@pytest.mark.parametrize(
    "change", [named("../up"), named("/abs"), named("a/../../b"), named("..\\up"), named("C:/x"), link]
)
def test_hostile_archives_are_refused(tmp_path: Path, change: Callable[[zipfile.ZipFile], None]) -> None:
    with pytest.raises(RefusalError, match="not a plain file below its folder"):
        artifacts.check_archive(archive(tmp_path, change))


def test_what_is_no_archive_is_refused_and_a_good_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"no zip")
    with pytest.raises(RefusalError, match="no zip file"):
        artifacts.check_archive(tmp_path / "a")
    artifacts.check_archive(archive(tmp_path, named("fine/.. name/x")))


@pytest.mark.parametrize("name", ["", "a/b", "a\\b", "..", "x" * 256, "a\nb", "a:b", "*"])
def test_names_that_github_does_not_take(name: str) -> None:
    with pytest.raises(RefusalError):
        artifacts.check_name(name)
