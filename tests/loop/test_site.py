"""A site for each role from CI: real Git, act and HTTP, and what the sandbox shows of it below the repository."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import httpx
import pytest

from conftest import gitml
from gitml_sandbox.actions.runner import Runner
from loop.loop_kit import PATIENCE, Loop, Template, new_loop, new_template
from sandbox.forge_kit import Kit
from sandbox.runner_kit import Clock
from sandbox.web_kit import browser

pytestmark = [pytest.mark.slow, pytest.mark.nightly]
POLICY = """\
roles:
  operations: {people: [olga]}
  risk: {people: [rita]}
environments: {production: {approvals: {operations: 1}}}
views:
  operations: {pages: [operations, changes]}
  risk: {pages: [inventory, policy]}
"""


@pytest.fixture(scope="module")
def seen_template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    folder = tmp_path_factory.mktemp("seen")
    return new_template(folder, {"policy.yaml": POLICY}, train=False)


def artifacts(loop: Loop) -> dict[str, zipfile.ZipFile]:
    """Those of the newest run, by name."""
    run = loop.works.runs("workflow_dispatch")[-1]
    found = loop.works.api("GET", f"/actions/runs/{run['id']}/artifacts").json()["artifacts"]
    links = {one["name"]: loop.works.api("GET", f"/actions/artifacts/{one['id']}/zip").headers for one in found}
    return {name: zipfile.ZipFile(io.BytesIO(httpx.get(link["location"]).content)) for name, link in links.items()}


@pytest.mark.timeout(600)
def test_each_role_has_its_site_as_an_artifact_and_what_it_may_not_see_is_not_in_it(
    forge: tuple[Kit, Runner, Clock], seen_template: Template, tmp_path: Path
) -> None:
    kit, runner, _ = forge
    loop = new_loop(kit, runner, tmp_path, seen_template)
    assert gitml(loop.clone, "ci", "render").code == 0
    started = loop.works.api("POST", "/actions/workflows/gitml-site.yml/dispatches", {"ref": "main"})
    assert started.status_code < 300, started.text
    loop.until(lambda: [r for r in loop.works.runs("workflow_dispatch") if r["status"] == "completed"], 4 * PATIENCE)
    jobs = loop.works.jobs(loop.works.runs("workflow_dispatch")[-1])
    assert {name: job["conclusion"] for name, job in jobs.items()} == {
        "build-operations": "success", "build-risk": "success",
    }, loop.logs()  # fmt: skip
    sites = artifacts(loop)
    assert set(sites) == {"gitml-site-operations", "gitml-site-risk"}
    pages = {name: {page for page in zipped.namelist() if page.endswith(".html")} for name, zipped in sites.items()}
    assert pages["gitml-site-risk"] == {"index.html", "inventory.html", "policy.html"}
    assert "operations.html" in pages["gitml-site-operations"]
    assert "inventory.html" not in pages["gitml-site-operations"]
    overview = sites["gitml-site-risk"].read("index.html").decode()
    assert "for risk" in overview
    assert loop.works.repo.full_name in overview, "links lead to this forge"
    ada = browser(kit, "ada")
    home = f"/{loop.works.repo.full_name}/actions"
    links = re.findall(r'href="([^"]+/pages)">(gitml-site-[a-z]+)<', ada.get(home))
    assert [name for _, name in links] == ["gitml-site-operations", "gitml-site-risk"]
    shown = ada.client.get(links[1][0], follow_redirects=True)
    assert "for risk" in shown.text
    assert shown.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    style = httpx.get(str(shown.url.join("site.css")))
    assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8"), "without a login"
