"""Runs in the browser: steps, live logs, steering; and the pages of protection and deployments."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import httpx
import pytest

from gitml_sandbox.actions import jobstatus
from gitml_sandbox.forge import deployments, environments
from gitml_sandbox.web import runs as web_runs
from sandbox.forge_kit import Kit
from sandbox.runner_kit import Works
from sandbox.web_kit import api, browser, protect

FLOW = """
    name: CI
    on: push
    jobs:
      unit:
        runs-on: ubuntu-latest
        steps:
          - name: Say <b>it</b>
            run: |
              printf '\\033[1;31mred\\033[0m <script>alert(1)</script>\\n'
              echo "::warning::careful"
      wrong:
        runs-on: ubuntu-latest
        steps: [{run: "echo before; exit 3"}]
"""


def test_a_run_and_its_logs(works: Works) -> None:
    works.flow(FLOW)
    run = works.done()[0]
    jobs = works.jobs(run)
    home = f"/{works.repo.full_name}/actions"
    ada, nobody = browser(works.kit, "ada"), browser(works.kit)
    listing = nobody.get(home)
    assert f'href="{home}/runs/{run["id"]}"' in listing
    assert "http-equiv" not in listing
    page = ada.get(f"{home}/runs/{run['id']}")
    assert "Say &lt;b&gt;it&lt;/b&gt;" in page
    assert "Run failed jobs again" in page
    address = f"{home}/runs/{run['id']}/job/{jobs['unit']['id']}"
    log = ada.get(address)
    assert '<span class="t-bold t-1">red</span> &lt;script&gt;alert(1)&lt;/script&gt;' in log
    assert '<li class="log-warning"' in log
    assert "careful" in log
    assert "red" not in nobody.get(address)
    assert "Log in</a> to read the log" in nobody.get(address)
    assert nobody.client.get(f"{address}/log").status_code == 303
    text = ada.client.get(f"{address}/log")
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert "\x1b" not in text.text
    assert "careful" in text.text


def test_pages_name_only_what_belongs_together(works: Works) -> None:
    works.flow(FLOW)
    run = works.done()[0]
    job = works.jobs(run)["unit"]["id"]
    ada = browser(works.kit, "ada")
    other = works.kit.repo()
    for path in (
        f"/{other.full_name}/actions/runs/{run['id']}",
        f"/{other.full_name}/actions/runs/{run['id']}/job/{job}/log",
    ):
        ada.get(path, 404)
    home = f"/{works.repo.full_name}/actions/runs"
    for path in (f"{home}/0", f"{home}/x", f"{home}/{run['id']}/job/99999999", f"{home}/{10**30}"):
        ada.get(path, 404)


@pytest.mark.nightly
def test_a_log_can_be_followed_and_the_run_cancelled(works: Works) -> None:
    works.flow(
        """
        name: long
        on: push
        jobs:
          slow:
            runs-on: ubuntu-latest
            steps: [{run: "for i in $(seq 600); do echo epoch $i; sleep 0.1; done"}]
        """
    )
    run = works.until(works.runs)[0]
    job = works.until(lambda: works.jobs(run).get("slow"))
    home = f"/{works.repo.full_name}/actions/runs/{run['id']}"
    ada, eve = browser(works.kit, "ada"), browser(works.kit, "eve")
    live = works.until(lambda: "epoch" in (t := ada.get(f"{home}/job/{job['id']}")) and t)
    assert f'<meta http-equiv="refresh" content="{web_runs.LIVE_SECONDS}">' in live
    assert "http-equiv" not in ada.get(f"{home}/job/{job['id']}?live=off")
    seen: list[str] = []
    begun = threading.Event()

    def read() -> None:
        with ada.client.stream("GET", f"{home}/job/{job['id']}/log?follow=1") as answer:
            for line in answer.iter_lines():
                seen.append(line)
                begun.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert begun.wait(20)
    assert eve.post(home, {"do": "cancel"}).status_code == 403
    assert ada.post(home, {"do": "dance"}).status_code == 400
    assert ada.post(home, {"do": "cancel"}).status_code == 303
    assert works.done()[0]["conclusion"] == "cancelled"
    reader.join(30)
    assert not reader.is_alive()
    assert any("epoch 1" in line for line in seen)
    assert "cancelled by ada" in ada.get(home)
    assert ada.post(home, {"do": "cancel"}).status_code == 409
    assert ada.post(home, {"do": "rerun"}).status_code == 303
    assert works.until(lambda: works.runs()[0]["attempt"]) == 2
    ada.post(home, {"do": "cancel"})
    works.done()


@pytest.mark.nightly
def test_a_reviewer_lets_a_job_into_its_environment(works: Works) -> None:
    now = works.kit.sandbox.now()
    with works.kit.sandbox.store.write() as tx:
        place = environments.put(tx, repo_id=works.repo.id, name="production", now=now)
        reviewers = [works.kit.user("olga").id]
        environments.set_review(tx, place, reviewers=reviewers, prevent_self=False, minutes=0)
    works.flow(
        """
        name: deploy
        on: push
        jobs:
          ship: {runs-on: ubuntu-latest, environment: production, steps: [{run: "echo shipped"}]}
        """
    )
    run = works.until(works.runs)[0]
    works.until(lambda: works.jobs(run)["ship"]["status"] == "waiting")
    home = f"/{works.repo.full_name}/actions/runs/{run['id']}"
    ada, olga = browser(works.kit, "ada"), browser(works.kit, "olga")
    assert "Let it in" not in ada.get(home)
    assert "A job waits for you" in olga.get(home)
    form = {"do": "allow", "environment": str(place.id)}
    assert ada.post(home, form).status_code == 403
    assert olga.post(home, form).status_code == 303
    assert works.done()[0]["conclusion"] == "success"
    words = browser(works.kit).get(f"/{works.repo.full_name}/deployments")
    assert "One of these must let a job in: olga" in words


def test_following_a_file_that_grows(tmp_path: Path) -> None:
    file = tmp_path / "1.log"
    states = iter([False, False, True])

    def done() -> bool:
        state = next(states)
        with file.open("ab") as out:
            out.write(b"last" if state else "ä one\nhalf".encode() + b"\x1b[31m")
        return state

    async def read() -> list[bytes]:
        return [part async for part in web_runs.follow(file, done, endless=True)]

    parts = asyncio.run(read())
    assert b"".join(parts).decode() == "ä one\nhalf\ufffd[31mä one\nhalf\ufffd[31mlast"
    assert parts[0].decode() == "ä one\n"
    assert asyncio.run(_all(tmp_path / "missing.log")) == []


async def _all(file: Path) -> list[bytes]:
    return [part async for part in web_runs.follow(file, lambda: True, endless=False)]


def test_protection_in_words(kit: Kit, tmp_path: Path) -> None:
    repo, _ = kit.seeded(tmp_path / "a")
    rule = {
        "required_pull_request_reviews": {
            "required_approving_review_count": 2,
            "require_code_owner_reviews": True,
            "require_last_push_approval": True,
            "bypass_pull_request_allowances": {"apps": ["gitml-bot"]},
        },
        "required_status_checks": {
            "strict": True,
            "checks": [{"context": "gate", "app_id": kit.user("gitml-bot[bot]").id}],
        },
        "restrictions": {"users": ["olga"], "teams": []},
        "required_linear_history": True,
    }
    protect(kit, repo, rule)
    page = browser(kit).get(f"/{repo.full_name}/settings")
    for words in (
        "a pull request with 2 approvals",
        "Code owners must approve",
        "Somebody other than the last pusher",
        "These need no pull request: app gitml-bot",
        "Check “gate” must succeed, posted by gitml-bot[bot]",
        "must be up to date",
        "Only these may push or merge: olga",
        "History must be linear",
        "Administrators may bypass",
    ):
        assert words in page
    assert "rita" not in page
    assert "rita" in browser(kit, "olga").get(f"/{repo.full_name}/settings")


def test_deployments(kit: Kit, tmp_path: Path) -> None:
    repo, _ = kit.seeded(tmp_path / "a")
    body = {"ref": "main", "environment": "staging", "required_contexts": [], "description": "model delay"}
    path = f"/repos/{repo.full_name}/deployments"
    made = api(kit, "ada", "POST", path, body, 201)
    status = {"state": "success", "description": "healthy", "environment_url": "https://staging.example"}
    api(kit, "ada", "POST", f"{path}/{made['id']}/statuses", status, 201)
    page = browser(kit).get(f"/{repo.full_name}/deployments")
    for words in ("staging", "deployed", "model delay", "healthy", 'href="https://staging.example" rel="nofollow'):
        assert words in page
    with kit.sandbox.store.write() as tx:
        bot = jobstatus.bot(tx).id
        for number in range(200):  # each run of a job with `environment: gitml` makes one
            new = deployments.New("a" * 40, "main", "gitml", description=f"run {number}")
            deployments.create(tx, repo_id=repo.id, new=new, creator_id=bot, now=kit.sandbox.now())
    page = browser(kit).get(f"/{repo.full_name}/deployments")
    assert "healthy" in page
    assert "run 199" in page
    assert "run 198" not in page
    assert "And 199 older of jobs that named an environment." in page


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_do_nothing(kit: Kit, method: str) -> None:
    assert httpx.request(method, f"{kit.url}/login", headers={"Origin": kit.url}).status_code in (404, 405)
