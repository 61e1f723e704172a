"""Jobs of a sandbox that serves HTTPS: checkout, API and artifacts, with the clients that jobs use."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitml_sandbox.actions.runner import Runner
from gitml_sandbox.server.serve import Options, serving
from sandbox.forge_kit import Kit, commit, git, people
from sandbox.runner_kit import Works, workflow

pytestmark = [pytest.mark.slow, pytest.mark.nightly]

FLOW = """
name: CI
on: push
jobs:
  make:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: test -f README.md && git fetch -q origin main && git ls-remote origin
      - run: |
          curl -sSf -H "Authorization: Bearer $TOKEN" "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY" >seen.json
        env: {TOKEN: "${{ github.token }}"}
      - run: |
          python3 - <<'END'
          import os, urllib.request
          print("python got", urllib.request.urlopen(os.environ["GITHUB_API_URL"] + "/users/ada").status)
          END
      - run: echo "trusts $(grep -c BEGIN "$SSL_CERT_FILE")"
      - uses: actions/upload-artifact@v4
        with: {name: seen, path: seen.json}
  take:
    needs: make
    runs-on: ubuntu-latest
    steps:
      - uses: actions/download-artifact@v4
        with: {name: seen}
      - run: grep -q full_name seen.json
"""


def test_jobs_over_https(tmp_path: Path) -> None:
    with serving(tmp_path / "state", Options(port=0, runner=False, tls=True)) as running:
        kit = Kit(running.sandbox, running.address.url, people(running.sandbox))
        trust = {"GIT_SSL_CAINFO": str(running.address.ca)}
        repo = kit.repo()
        git(tmp_path, "clone", "-q", kit.remote(repo, "ada"), "clone", env=trust)
        clone = tmp_path / "clone"
        runner = Runner(running.sandbox)
        runner.start()
        try:
            works = Works(kit, runner, repo, clone)
            commit(clone, "README.md", "hello\n")
            commit(clone, ".github/workflows/ci.yml", workflow(FLOW))
            git(clone, "push", "-q", "origin", "HEAD:main", env=trust)
            jobs = works.only()
            logs = {name: works.log(job) for name, job in jobs.items()}
            assert {j["conclusion"] for j in jobs.values()} == {"success"}, logs
            assert "python got 200" in logs["make"]
            assert "BEGIN" in (tmp_path / "state/tls/bundle.pem").read_text()
            known = (tmp_path / "state/tls/bundle.pem").read_text().count("BEGIN")
            assert f"trusts {known}" in logs["make"]
        finally:
            runner.stop()
