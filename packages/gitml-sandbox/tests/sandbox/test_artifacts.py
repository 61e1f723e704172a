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
