"""No link that the API gives is dead: a repository that was lived in is crawled from its own answers."""

from __future__ import annotations

import io
import re
import zipfile
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gitml_sandbox.forge import repos, users
from sandbox.forge_kit import Kit, git
from sandbox.rest_kit import api, client, seeded
from sandbox.runner_kit import Works

FLOW = (
    "name: CI\non: {push: , workflow_dispatch: }\njobs:\n  a: {runs-on: ubuntu-latest, steps: [{run: 'echo hello'}]}\n"
)
# Links that are for POST, for Git, and to what only users of the web page have.
POSTED = ("merges_url", "cancel_url", "rerun_url")
CLONED = ("clone_url", "git_url", "ssh_url")
STARTS = (
    *("", "/actions/runs", "/actions/workflows", "/activity", "/branches", "/commits", "/contents", "/deployments"),
    *("/environments", "/issues?state=all", "/labels", "/pulls?state=all", "/git/matching-refs/tags/", "/rulesets"),
    *("/branches/main", "/branches/main/protection", "/compare/main...feature", "/readme", "/tags", "/comments"),
)


def lived_in(works: Works) -> Works:
    """Pull requests, reviews with comments, a dismissal, runs, statuses, a check run, a deployment, a team."""
    kit = works.kit

    def do(method: str, path: str, body: Any = None, token: str = "ada") -> dict[str, Any]:
        response = works.api(method, path, body, token=token)
        assert response.status_code < 300, f"{path}: {response.text}"
        return dict(response.json()) if response.content and response.text.startswith("{") else {}

    sha = works.flow(FLOW)
    _team(kit, works)
    do("PUT", "/collaborators/gitml-bot[bot]", {"permission": "push"})
    works.push({"src/b c.txt": "new\n"}, branch="feature")
    head = works.push({"src/b c.txt": "newer\n"}, branch="feature")
    pull = works.pull("feature")
    number = pull["number"]
    note = {"path": "src/b c.txt", "line": 1, "body": "why?"}
    review = do("POST", f"/pulls/{number}/reviews", {"event": "APPROVE", "comments": [note]}, token="olga")
    do("PUT", f"/pulls/{number}/reviews/{review['id']}/dismissals", {"message": "no"})
    do("POST", f"/pulls/{number}/reviews", {"body": "later"}, token="ada")
    do("POST", f"/pulls/{number}/requested_reviewers", {"reviewers": ["rita"]})
    do("POST", f"/issues/{number}/comments", {"body": "hello"})
    do("POST", f"/issues/{number}/labels", {"labels": ["a label"]})
    do("POST", "/issues", {"title": "an issue"})
    do("POST", f"/commits/{sha}/comments", {"body": "a comment"})
    do("POST", f"/statuses/{head}", {"state": "success", "context": "ci"})
    report = {"name": "report", "head_sha": head, "conclusion": "success", "output": {"title": "t", "summary": "s"}}
    do("POST", "/check-runs", report, token="gitml-bot[bot]")
    made = do("POST", "/deployments", {"ref": "main", "required_contexts": [], "auto_merge": False})
    do("POST", f"/deployments/{made['id']}/statuses", {"state": "success"})
    do("PUT", "/environments/production", {})
    do("POST", "/git/refs", {"ref": "refs/tags/v1", "sha": sha})
    rule = {"required_approving_review_count": 1, "dismissal_restrictions": {"users": ["olga"]}}
    checks = {"strict": True, "contexts": ["ci"]}
    protection = {"required_status_checks": checks, "enforce_admins": True, "required_pull_request_reviews": rule}
    do("PUT", "/branches/main/protection", {**protection, "restrictions": {"users": ["ada"], "teams": []}})
    works.done()
    return works


def _team(kit: Kit, works: Works) -> None:
    repos.create(kit.sandbox, kit.user("olga").id, works.repo.name, fork_of=works.repo)
    with kit.sandbox.store.write() as tx:
        org = users.find(tx, "links") or users.add(tx, "links", type="Organization")
        users.add_member(tx, org.id, kit.user("ada").id, "admin")
        team = users.add_team(tx, org.id, "crew")
        tx.execute("INSERT INTO team_repos VALUES (?, ?, 'write')", (works.repo.id, team))


def links(node: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """The name and address of every link of an answer."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from links(value, name if key == "href" else key)
    elif isinstance(node, list):
        for item in node:
            yield from links(item, name)
    elif isinstance(node, str) and (name.endswith("url") or name in {"_links", "href"} or "://" in node[:8]):
        yield name, node


class Crawl:
    """Follows each link once. What ends in 404 or 500 is dead."""

    def __init__(self, works: Works) -> None:
        self.works, self.seen, self.dead = works, set[str](), dict[str, str]()
        self.queue: list[tuple[str, str]] = []
        self.headers = {"Authorization": f"token {works.kit.token['ada']}"}
        self.http = client(works.kit.url)
        self.known = self._known()

    def _known(self) -> dict[str, str]:
        """What the object has for each template."""
        get = lambda path: self.works.api("GET", path).json()  # noqa: E731
        sha = get("/commits/feature")["sha"]
        file = get("/contents/src/b%20c.txt?ref=feature")
        api = f"/{self.works.repo.full_name}/"
        return {
            f"{api}assignees{{/user}}": "/olga",
            f"{api}collaborators{{/collaborator}}": "/olga",
            f"{api}branches{{/branch}}": "/feature",
            f"{api}comments{{/number}}": f"/{get('/comments')[0]['id']}",
            f"{api}issues/comments{{/number}}": f"/{get('/issues/comments')[0]['id']}",
            f"{api}pulls/comments{{/number}}": f"/{get('/pulls/comments')[0]['id']}",
            f"{api}issues/events{{/number}}": f"/{get('/issues/events')[0]['id']}",
            f"{api}issues{{/number}}": f"/{get('/issues')[0]['number']}",
            f"{api}pulls{{/number}}": f"/{get('/pulls')[0]['number']}",
            f"{api}labels{{/name}}": "/a%20label",
            f"{api}commits{{/sha}}": f"/{sha}",
            f"{api}git/commits{{/sha}}": f"/{sha}",
            f"{api}git/trees{{/sha}}": f"/{sha}",
            f"{api}git/blobs{{/sha}}": f"/{file['sha']}",
            f"{api}git/refs{{/sha}}": "/heads/main",
            f"{api}git/tags{{/sha}}": f"/{_annotated(self.works)}",
            "{sha}": sha,
            "{archive_format}": "tarball",
            "{base}": "main",
            "{head}": "feature",
            "{+path}": "README.md",
            "{/ref}": "/main",
            "{owner}": "ada",
            "{repo}": self.works.repo.name,
            "{user}": "ada",
            "{org}": "links",
        }

    def expand(self, url: str) -> str:
        """Fill in a template; what the object does not have is left out."""
        for word, value in self.known.items():
            if "/" in word.split("{")[0]:
                tail = word[: word.index("{")]
                if url.endswith(word):
                    url = url.removesuffix(word) + tail + value
            else:
                url = url.replace(word, value)
        return re.sub(r"\{[/?][^}]*\}", "", url)

    def add(self, name: str, url: str) -> None:
        url = self.expand(url).partition("#")[0]
        ours = url.startswith(self.works.kit.url)
        # Other repositories of the session are not this one's business.
        other = re.search(r"/(\w+/demo-\d+)", url)
        strange = other is not None and other[1] != self.works.repo.full_name
        # One of a kind is enough: /pulls/1 stands for /pulls/2.
        kind = re.sub(r"[0-9a-f]{40}|\d+", "N", url)
        if ours and not strange and kind not in self.seen:
            self.seen.add(kind)
            self.queue.append((name, url))

    def follow(self) -> None:
        while self.queue:
            name, url = self.queue.pop()
            response = self._ask(name, url)
            if "Branch not protected" in response.text:
                continue  # GitHub's own answer there, which clients read
            if response.status_code in (404, 405) or response.status_code >= 500:
                self.dead[url] = f"{response.status_code} {name}"
            elif response.headers.get("content-type", "").startswith("application/json"):
                for found in links(response.json()):
                    self.add(*found)

    def _ask(self, name: str, url: str) -> httpx.Response:
        # The pages are seen by who is logged in; the scene's repository is public, so nobody need be.
        headers = self.headers if "/api/" in url else {}
        if name in CLONED:
            return self.http.get(f"{url}/info/refs?service=git-upload-pack")
        if name in POSTED:
            return self.http.post(url, headers=self.headers, json={})
        return self.http.get(url, headers=headers, follow_redirects=True)


def _annotated(works: Works) -> str:
    git(works.clone, "tag", "-a", "v2", "-m", "two")
    git(works.clone, "push", "-q", works.kit.remote(works.repo, "ada"), "v2")
    return git(works.clone, "rev-parse", "v2").strip()


@pytest.mark.slow
@pytest.mark.nightly
def test_no_link_is_dead(works: Works) -> None:
    crawl = Crawl(lived_in(works))
    for path in STARTS:
        crawl.add("url", f"{works.kit.url}/api/v3/repos/{works.repo.full_name}{path}")
    crawl.add("url", f"{works.kit.url}/api/v3/")
    crawl.follow()
    assert crawl.dead == {}
    assert len(crawl.seen) > 180


def test_the_links_of_a_repository_lead_somewhere(kit: Kit) -> None:
    """The everyday part of the crawl: what a repository and its owner link to at once."""
    _, ada, _, _ = seeded(kit)
    sha = ada.tip("main")
    words = {"{sha}": sha, "{/sha}": f"/{sha}", "{archive_format}": "zipball", "{base}...{head}": "main...main"}
    found = dict(links({**ada.get(""), "statuses_url": ada.get(f"commits/{sha}")["comments_url"]}))
    for name in ("git_blobs_url", "blobs_url", "git_refs_url", "git_tags_url", *POSTED, *CLONED):
        found.pop(name, None)
    for name, url in found.items():
        for word, value in words.items():
            url = url.replace(word, value)
        response = ada.http.get(re.sub(r"\{[^}]*\}", "", url), headers=ada.headers, follow_redirects=True)
        assert response.status_code < 400, f"{name}: {response.status_code} {response.text[:200]}"


def test_git_objects_and_where_a_commit_is_head(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "clone")
    ada = api(kit, repo, "ada")

    def get(path: str) -> Any:
        response = ada.http.get(f"/api/v3/repos/{repo.full_name}/{path}", headers=ada.headers)
        assert response.status_code == 200, f"{path}: {response.text}"
        return response.json() if "json" in response.headers["content-type"] else response.content

    ada.write("src/a.txt", "text\n")
    sha = ada.tip("main")
    ada.branch("same")
    listed = get(f"git/trees/{sha}?recursive=1")["tree"]
    assert [(e["path"], e["type"]) for e in listed] == [("README.md", "blob"), ("src", "tree"), ("src/a.txt", "blob")]
    assert b64decode(get(f"git/blobs/{listed[2]['sha']}")["content"]) == b"text\n"
    assert get(f"git/commits/{sha}")["message"] == "write src/a.txt"
    assert [b["name"] for b in get(f"commits/{sha}/branches-where-head")] == ["main", "same"]
    git(clone, "tag", "-a", "v1", "-m", "one")
    git(clone, "push", "-q", "origin", "v1")
    (tag,) = get("tags")
    named = get(f"git/tags/{get('git/ref/tags/v1')['object']['sha']}")
    assert (tag["name"], tag["commit"]["sha"]) == ("v1", named["object"]["sha"])
    assert (named["message"], named["tagger"]["name"], named["tagger"]["email"]) == ("one\n", "Ada", "ada@example.org")
    names = zipfile.ZipFile(io.BytesIO(get("zipball/main"))).namelist()
    assert f"ada-{repo.name}-{sha[:7]}/src/a.txt" in names
    for wrong in ("git/trees/HEAD:src", "git/blobs/main", f"git/blobs/{sha}", "git/tags/v1"):
        response = ada.http.get(f"/api/v3/repos/{repo.full_name}/{wrong}", headers=ada.headers)
        assert response.status_code == 404, wrong
