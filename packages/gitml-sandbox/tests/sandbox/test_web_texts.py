"""The addresses that the API calls html_url lead to pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitml_sandbox.forge import repos
from sandbox.forge_kit import Kit
from sandbox.web_kit import Case, api, browser, check_accessible


@pytest.mark.nightly
def test_links_of_the_api_lead_somewhere(kit: Kit, tmp_path: Path) -> None:
    case = Case(kit, tmp_path / "a")
    full = f"/repos/{case.repo.full_name}"
    with kit.sandbox.store.write() as tx:
        repos.set_collaborator(tx, case.repo.id, kit.user("gitml-bot[bot]").id, "write")
    issue = api(kit, "ada", "POST", f"{full}/issues", {"title": "<b>Drift</b>", "body": "of @olga, see #1"}, 201)
    comment = api(kit, "olga", "POST", f"{full}/issues/{issue['number']}/comments", {"body": "*Seen*"}, 201)
    check = {"name": "gate", "head_sha": case.sha, "status": "completed", "conclusion": "failure"}
    check["output"] = {"title": "2 of 3", "summary": "**AUC** <script>alert(1)</script>"}  # type: ignore[assignment]
    run = api(kit, "gitml-bot[bot]", "POST", f"{full}/check-runs", check, 201)
    said = api(kit, "eve", "POST", f"{full}/issues/{case.number}/comments", {"body": "hello"}, 201)
    review = case.api("olga", "POST", "/reviews", {"event": "COMMENT", "body": "hm"})
    expected = {
        issue["html_url"]: "&lt;b&gt;Drift&lt;/b&gt;",
        comment["html_url"]: "<em>Seen</em>",
        run["html_url"]: "<strong>AUC</strong>",
        said["html_url"]: 'id="' + said["html_url"].partition("#")[2],
        review["html_url"]: 'id="' + review["html_url"].partition("#")[2],
        issue["user"]["html_url"]: case.repo.name,
        api(kit, "ada", "GET", full)["html_url"]: "README.md",
        api(kit, "ada", "GET", f"{full}/commits/{case.sha}")["html_url"]: "Add work",
    }
    me = browser(kit)
    for address, words in expected.items():
        text = me.get(address.removeprefix(kit.sandbox.base_url).partition("#")[0])
        assert words in text, address
        assert "<script" not in text
        check_accessible(text)
    assert f'href="{case.home}/runs/{run["id"]}"' in me.get(f"{case.page}/checks")
    span = api(kit, "ada", "GET", f"{full}/compare/main...work")["html_url"].removeprefix(kit.sandbox.base_url)
    assert me.client.get(span).headers["location"] == f"{case.home}/compare?base=main&head=work"
    moved = me.client.get(f"{case.home}/issues/{case.number}")
    assert moved.headers["location"] == case.page
    for missing in ("/nobody-here", f"{case.home}/issues/99", f"{case.home}/runs/99999", f"{case.home}/issues/x"):
        me.get(missing, 404)
