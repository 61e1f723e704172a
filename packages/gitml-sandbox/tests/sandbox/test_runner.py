"""What a run does with its jobs, from a push to its statuses, with real act."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from sandbox.runner_kit import Clock, Works, workflow
from sandbox.test_workflows import merge_bomb

SIMPLE = "{runs-on: ubuntu-latest, steps: [{run: 'echo hello'}]}"


def test_a_push_becomes_a_run_with_a_status_per_job(works: Works) -> None:
    sha = works.flow(
        """
        name: CI
        on: push
        env: {TOP: "${{ github.ref_name }}"}
        defaults: {run: {shell: sh}}
        jobs:
          one:
            runs-on: ubuntu-latest
            outputs: {v: "${{ steps.s.outputs.v }}", multi: "${{ steps.s.outputs.multi }}"}
            steps:
              - id: s
                run: |
                  echo "v=it's $TOP" >> $GITHUB_OUTPUT
                  printf 'multi<<X\\na "b"\\n${x} \\\\ $HOME\\nX\\n' >> $GITHUB_OUTPUT
          two:
            name: second
            needs: one
            runs-on: [self-hosted, linux]
            strategy: {matrix: {n: "${{ fromJSON('[1, 2]') }}", o: [{p: q}]}}
            steps:
              - env:
                  V: ${{ needs.one.outputs.v }}
                  M: ${{ toJSON(needs.one.outputs.multi) }}
                  N: ${{ matrix.n }}${{ matrix.o.p }}|${{ strategy.job-index }}/${{ strategy.job-total }}
                run: echo "$V|"; printf '%s\\n' "$M|$N"
        """
    )
    jobs = works.only()
    assert list(jobs) == ["one", 'second (1, {"p": "q"})', 'second (2, {"p": "q"})']
    assert {j["conclusion"] for j in jobs.values()} == {"success"}
    assert works.outputs(jobs["one"]) == {"v": "it's main", "multi": 'a "b"\n${x} \\ $HOME'}
    log = works.log(jobs['second (2, {"p": "q"})'])
    assert "it's main|" in log
    assert r""""a \"b\"\n${x} \\ $HOME"|2q|1/2""" in log
    assert works.statuses(sha) == {f"CI / {name}": "success" for name in jobs}
    (run,) = works.runs()
    assert (run["title"], run["run_number"], run["conclusion"], run["head_sha"]) == ("change", 1, "success", sha)


def test_needs_and_if(works: Works) -> None:
    """Rows run/needs, run/skipped-job."""
    sha = works.flow(
        """
        name: CI
        on: push
        jobs:
          bad: {runs-on: ubuntu-latest, steps: [{run: exit 3}]}
          after: {needs: bad, runs-on: ubuntu-latest, steps: [{run: ls}]}
          later: {needs: after, runs-on: ubuntu-latest, steps: [{run: ls}]}
          always:
            needs: [bad, after]
            if: always() && needs.bad.result == 'failure'
            runs-on: ubuntu-latest
            steps: [{run: "echo got ${{ needs.bad.result }} ${{ needs.after.result }}"}]
          failed: {needs: later, if: failure(), runs-on: ubuntu-latest, steps: [{run: ls}]}
          never: {if: "github.ref == 'refs/heads/x'", runs-on: ubuntu-latest, steps: [{run: ls}]}
        """
    )
    jobs = works.only()
    assert {n: j["conclusion"] for n, j in jobs.items()} == {
        "bad": "failure",
        "after": "skipped",
        "later": "skipped",
        "always": "success",
        "failed": "success",
        "never": "skipped",
    }
    assert "got failure skipped" in works.log(jobs["always"])
    statuses = works.statuses(sha)
    assert statuses["CI / bad"] == "failure"
    assert statuses["CI / never"] == "success"
    assert works.runs()[0]["conclusion"] == "failure"


def test_a_forgiven_job_does_not_fail_its_run(works: Works) -> None:
    """Row run/forgiven."""
    works.flow(
        """
        on: push
        jobs:
          shaky: {runs-on: ubuntu-latest, continue-on-error: true, steps: [{run: exit 1}]}
          after: {needs: shaky, runs-on: ubuntu-latest, steps: [{run: "echo ${{ needs.shaky.result }}"}]}
        """
    )
    jobs = works.only()
    assert jobs["shaky"]["conclusion"] == "failure"
    assert "success" in works.log(jobs["after"])
    assert works.runs()[0]["conclusion"] == "success"


def test_a_failed_combination_cancels_its_brothers(works: Works) -> None:
    works.flow(
        """
        on: push
        jobs:
          m:
            runs-on: ubuntu-latest
            strategy: {matrix: {n: [1, 2]}}
            steps: [{run: "if [ ${{ matrix.n }} = 1 ]; then exit 1; else sleep 60; fi"}]
          all:
            runs-on: ubuntu-latest
            strategy: {fail-fast: false, max-parallel: 1, matrix: {n: [1, 2]}}
            steps: [{run: "exit ${{ matrix.n == 1 }}"}]
        """
    )
    jobs = works.only()
    assert {n: j["conclusion"] for n, j in jobs.items()} == {
        "m (1)": "failure",
        "m (2)": "cancelled",
        "all (1)": "failure",
        "all (2)": "failure",
    }
    assert jobs["all (2)"]["started_at"] >= jobs["all (1)"]["completed_at"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{runs-on: ubuntu-latest, container: 'python:3', steps: [{run: ls}]}", "without containers"),
        ("{runs-on: ubuntu-latest, services: {db: {image: x}}, steps: [{run: ls}]}", "no service containers"),
        ("{runs-on: ubuntu-latest, steps: [{uses: actions/github-script@v7}]}", "no stand-in"),
        ("{runs-on: ubuntu-latest, steps: [{uses: 'docker://x'}]}", "no containers"),
        ("{runs-on: ubuntu-latest, if: 'nonsense.x', steps: [{run: ls}]}", "cannot be used"),
        ("{runs-on: ubuntu-latest, timeout-minutes: -1, steps: [{run: ls}]}", "positive number"),
        ("{uses: ./.github/workflows/other.yml}", "calls no other workflows"),
        ("{runs-on: ubuntu-latest, permissions: {code: read}, steps: [{run: ls}]}", "unknown"),
        ("{runs-on: ubuntu-latest, strategy: {matrix: {a: []}}, steps: [{run: ls}]}", "at least one value"),
        ("{runs-on: ubuntu-latest, steps: [{run: ls, surprise: 1}]}", "surprise"),
    ],
)
def test_what_cannot_run_fails_with_its_reason(works: Works, body: str, reason: str) -> None:
    sha = works.flow(f"name: CI\non: push\njobs:\n  a: {body}\n")
    job = works.only()["a"]
    assert job["conclusion"] == "failure"
    assert reason in job["reason"]
    assert works.statuses(sha) == {"CI / a": "failure"}
    assert works.description(sha, "CI / a")


def test_a_broken_file_is_a_run_that_failed_at_its_start(works: Works) -> None:
    sha = works.flow("on: push\njobs: {a: {steps: [{run: ls}]}}\n")
    (run,) = works.done()
    assert (run["conclusion"], run["path"]) == ("startup_failure", ".github/workflows/ci.yml")
    assert "runs-on" in run["reason"]
    assert list(works.statuses(sha).values()) == ["error"]


def test_a_file_that_unfolds_without_end_does_not_stop_the_runner(works: Works) -> None:
    files = {"bomb.yml": merge_bomb(), "ci.yml": f"on: push\njobs:\n  a: {SIMPLE}\n"}
    works.push({f".github/workflows/{name}": text for name, text in files.items()})
    bomb, good = works.done(count=2)
    assert (bomb["conclusion"], good["conclusion"]) == ("startup_failure", "success")
    assert "merge keys" in bomb["reason"]


def test_a_job_for_which_there_is_no_machine_waits_visibly_then_fails(works: Works, clock: Clock) -> None:
    """Row run/labels."""
    sha = works.flow(f"name: CI\non: push\njobs:\n  a: {SIMPLE.replace('ubuntu-latest', '[self-hosted, tpu]')}\n")
    works.until(lambda: "no runner has the labels self-hosted, tpu" in works.description(sha, "CI / a"))
    assert works.statuses(sha) == {"CI / a": "pending"}
    assert works.runs()[0]["status"] == "queued"
    clock.turn(hours=1)
    works.kit.sandbox.wake.set()
    job = works.only()["a"]
    assert job["conclusion"] == "failure"
    assert "tpu; it was queued for 1:0" in job["reason"]


def test_labels_are_matched(works: Works) -> None:
    works.flow("on: push\njobs:\n  a: {runs-on: [self-hosted, GPU], steps: [{run: 'echo on $RUNNER_NAME'}]}\n")
    assert "on g1" in works.log(works.only()["a"])


def test_a_workspace_is_empty_and_shared_with_nobody(works: Works) -> None:
    works.flow(
        """
        on: push
        jobs:
          a:
            runs-on: ubuntu-latest
            steps: [{run: 'ls -A; echo x > left; echo y > $HOME/left; echo z > $RUNNER_TEMP/left; echo w >
            $TMPDIR/left'}]
          b:
            needs: a
            runs-on: ubuntu-latest
            steps: [{run: "test -z \\"$(ls -A . $HOME $RUNNER_TEMP $TMPDIR | grep left)\\""}]
        """
    )
    jobs = works.only()
    assert jobs["b"]["conclusion"] == "success", works.log(jobs["b"])


def test_what_a_job_installs_with_npm_stays_in_it(works: Works) -> None:
    works.flow(
        """
        on: push
        jobs:
          a:
            runs-on: ubuntu-latest
            steps:
              - run: mkdir -p "$NPM_CONFIG_PREFIX/bin" && echo true > "$NPM_CONFIG_PREFIX/bin/some-tool"
              - run: chmod +x "$NPM_CONFIG_PREFIX/bin/some-tool" && some-tool
          b:
            needs: a
            runs-on: ubuntu-latest
            steps: [{run: '! command -v some-tool'}]
        """
    )
    jobs = works.only()
    assert [jobs[name]["conclusion"] for name in "ab"] == ["success", "success"], works.log(jobs["a"])


def test_a_job_finds_gitml_but_not_the_python_that_runs_the_sandbox(works: Works) -> None:
    step = "{run: 'gitml --version; which -a python python3 pip || true'}"
    works.flow(f"on: push\njobs:\n  a: {{runs-on: ubuntu-latest, steps: [{step}]}}\n")
    job = works.only()["a"]
    assert job["conclusion"] == "success", works.log(job)
    own = str(Path(sys.executable).parent)
    assert not [line for line in works.log(job).splitlines() if f"Z {own}/" in line]


def test_checkout_in_all_its_ways(works: Works) -> None:
    works.push({"old.txt": "old"})
    works.flow(
        """
        on: push
        jobs:
          a:
            runs-on: ubuntu-latest
            steps:
              - uses: actions/checkout@v4
                id: c
              - run: |
                  test "$(git rev-parse HEAD)" = "$GITHUB_SHA"
                  test "$(git rev-parse --abbrev-ref HEAD)" = main
                  test "$(git rev-list --count HEAD)" = 1
                  test "${{ steps.c.outputs.commit }}" = "$GITHUB_SHA"
                  git fetch -q origin main
              - uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8
                with: {path: deep, fetch-depth: 0, persist-credentials: false}
              - run: |
                  test "$(git -C deep rev-list --count HEAD)" = 3
                  if git -C deep config --local --get-regexp extraheader; then exit 1; fi
              - uses: actions/checkout@v5
                with: {path: older, ref: "${{ github.event.before }}"}
              - run: test -f older/old.txt; test ! -e older/.github
        """
    )
    job = works.only()["a"]
    assert job["conclusion"] == "success", works.log(job)
    names = [step["name"] for step in json.loads(job["steps"])]
    assert names[0] == "Run actions/checkout@v4"


def test_composite_actions_of_the_repository(works: Works) -> None:
    action = """
        name: greet
        inputs: {who: {required: true}}
        outputs: {text: {value: "${{ steps.s.outputs.text }}"}}
        runs:
          using: composite
          steps:
            - uses: actions/checkout@v4
              with: {path: nested}
            - {id: s, shell: bash, run: 'echo "text=hello ${{ inputs.who }}" >> $GITHUB_OUTPUT'}
        """
    works.push({".github/actions/greet/action.yml": workflow(action)})
    works.flow(
        """
        on: push
        jobs:
          a:
            runs-on: ubuntu-latest
            steps:
              - uses: actions/checkout@v4
              - {id: g, uses: ./.github/actions/greet, with: {who: you}}
              - run: echo "${{ steps.g.outputs.text }}"; test -f nested/README.md
        """
    )
    job = works.only()["a"]
    assert "hello you" in works.log(job), works.log(job)


def test_setup_python_keeps_what_it_installs_to_itself(works: Works) -> None:
    works.flow(
        """
        on: push
        jobs:
          a:
            runs-on: ubuntu-latest
            steps:
              - {id: p, uses: actions/setup-python@v5, with: {python-version: "3"}}
              - uses: actions/cache@v4
                id: c
                with: {path: x, key: y}
              - run: |
                  python -c 'import sys, gitml; assert sys.prefix != sys.base_prefix; print("prefix",
                  sys.prefix)'
                  pip --version; test "$(command -v python)" = "${{ steps.p.outputs.python-path }}"
                  echo "hit=${{ steps.c.outputs.cache-hit }}"
        """
    )
    job = works.only()["a"]
    assert job["conclusion"] == "success", works.log(job)
    assert "hit=false" in works.log(job)


def test_a_push_reaches_a_finished_status_in_time(works: Works) -> None:
    works.flow(f"name: CI\non: push\njobs:\n  a: {SIMPLE}\n")
    works.done()
    began = time.monotonic()
    sha = works.push({"x": "y"})
    works.until(lambda: works.statuses(sha).get("CI / a") == "success")
    assert time.monotonic() - began < 3.0, "the budget is 1.5 s on an idle machine, see benchmarks/sandbox_run.py"
