"""Each point of `gitml doctor`, put right one after the other, against the real sandbox."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from cijobs.publishing import desk, weak
from conftest import gitml
from gitml import __version__
from gitml.models.quarantine import can_go_offline
from gitml.project.doctorpackage import package_point
from gitml.spec import parse_application
from sandbox.forge_kit import Kit, git
from sandbox.rest_kit import seeded

NOWHERE = "http://127.0.0.1:9/simple"


def points(folder: Path, **env: str) -> tuple[int, dict[str, dict[str, str]]]:
    ran = gitml(folder, "doctor", "--json", env={"GITHUB_TOKEN": "", "GH_TOKEN": "", "PIP_INDEX_URL": NOWHERE, **env})
    assert ran.code in (0, 1, 3), ran.err
    return ran.code, {p["point"]: p for p in json.loads(ran.out)}


def test_from_nothing_to_all_is_well(kit: Kit, toy: Path) -> None:
    repo, ada, _, _ = seeded(kit)
    (toy / ".dvc" / "config").write_text("[core]\n    remote = store\n['remote \"store\"']\n    url = s3://bucket/x\n")
    code, found = points(toy)
    assert code == 1
    assert (found["remote"]["mark"], found["workflows"]["mark"]) == ("missing", "missing")
    git(toy, "remote", "add", "origin", kit.remote(repo, "ada"))
    assert gitml(toy, "ci", "render").code == 0
    code, found = points(toy)
    assert (found["remote"]["mark"], found["token"]["mark"], found["forge"]["mark"]) == ("ok", "missing", "unknown")
    assert kit.token["ada"] not in json.dumps(found)
    code, found = points(toy, GITHUB_TOKEN=kit.token["ada"])
    assert (code, found["protection of main"]["mark"], found["workflows on main"]["mark"]) == (1, "missing", "missing")
    assert (found["token"]["mark"], found["permissions"]["mark"]) == ("ok", "ok")
    git(toy, "add", "--all")
    git(toy, "commit", "-qm", "workflows")
    git(toy, "push", "-q", "--force", "origin", "HEAD:main")
    ada.protect(required_status_checks={"strict": False, "contexts": ["gitml/train"]})
    with (toy / "gitml.yaml").open("a") as stream:
        stream.write("ci:\n  oidc: aws\n  app: true\n  gitml: gitml @ https://example.com/gitml.whl\n")
    gitml(toy, "ci", "render")
    code, found = points(toy, GITHUB_TOKEN=kit.token["ada"])
    assert found["workflows on main"]["mark"] == "unknown"
    assert found["protection of main"]["mark"] == "ok"
    assert code == 3
    git(toy, "add", "--all")
    git(toy, "commit", "-qm", "oidc")
    ada.delete("branches/main/protection")
    git(toy, "push", "-q", "origin", "HEAD:main")
    ada.protect(required_status_checks={"strict": False, "contexts": ["gitml/train"]})
    code, found = points(toy, GITHUB_TOKEN=kit.token["ada"])
    assert code == 0, found
    ran = gitml(toy, "doctor", env={"GITHUB_TOKEN": kit.token["ada"]})
    assert kit.token["ada"] not in ran.out + ran.err
    assert ran.out.count("ok ") == len(found)


def test_a_protection_that_lacks_something(kit: Kit, toy: Path) -> None:
    repo, ada, _, _ = seeded(kit)
    git(toy, "remote", "add", "origin", kit.remote(repo))
    ada.protect()
    _, found = points(toy, GITHUB_TOKEN=kit.token["ada"])
    assert found["protection of main"] == {
        "point": "protection of main",
        "mark": "missing",
        "what": "does not require: the status gitml/train",
        "todo": "add it to the branch's rules",
    }


@pytest.mark.parametrize(
    ("token", "mark", "words"),
    [("weak", "missing", "may not read: pull-requests, statuses"), ("eve", "missing", "not write")],
)
def test_permissions(kit: Kit, toy: Path, token: str, mark: str, words: str) -> None:
    d = desk(kit, toy)
    secret = weak(d, contents="read", actions="read") if token == "weak" else kit.token[token]
    with kit.sandbox.store.write() as tx:
        tx.execute("UPDATE repos SET private = ? WHERE name = ?", (token == "weak", d.ada.repo.split("/")[1]))
    env = {"GITHUB_REPOSITORY": d.ada.repo, "GITHUB_SERVER_URL": kit.url, "GITHUB_TOKEN": secret}
    _, found = points(toy, **env)
    assert found["permissions"]["mark"] == mark
    assert words in found["permissions"]["what"]


def test_it_says_whether_new_versions_are_tried_without_a_network(kit: Kit, toy: Path) -> None:
    _, found = points(toy)
    words = "without a network" if can_go_offline() else "does not take the network"
    assert words in found["trial loads"]["what"]


def test_secrets_in_git_and_wrong_tokens(kit: Kit, toy: Path) -> None:
    repo, _, _, _ = seeded(kit)
    git(toy, "remote", "add", "origin", kit.remote(repo))
    (toy / ".dvc" / "config").write_text("['remote \"s\"']\n    url = s3://b\n    secret_access_key = hunter2hunter2\n")
    code, found = points(toy, GITHUB_TOKEN="ghp_wrongwrongwrong")
    assert (code, found["data remote"]["mark"], found["forge"]["mark"]) == (1, "missing", "missing")
    assert "401" in found["forge"]["what"]
    assert "hunter2" not in json.dumps(found)
    assert "ghp_wrong" not in json.dumps(found)


class _Index(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = self.path == "/simple/gitml/"
        body = f"<a href='x/gitml-{__version__}-py3-none-any.whl'>".encode() if known else b"none"
        self.send_response(200 if known else 404)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None: ...


def test_jobs_that_cannot_install_gitml_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = parse_application(b"application: a\nmodels: {m: {artifact: m.onnx, metrics: m.json}}\n")
    named = parse_application(
        b"application: a\nmodels: {m: {artifact: m.onnx, metrics: m.json}}\nci: {gitml: gitml @ x}\n"
    )
    with HTTPServer(("127.0.0.1", 0), _Index) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        there = package_point(tmp_path, plain, {"PIP_INDEX_URL": f"{base}/simple"})
        absent = package_point(tmp_path, plain, {"UV_DEFAULT_INDEX": f"{base}/other/"})
        server.shutdown()
    assert (there.mark, absent.mark) == ("ok", "missing")
    assert f"gitml=={__version__}, which is not on the package index" in absent.what
    assert "ci: {gitml:" in absent.todo
    assert package_point(tmp_path, plain, {"PIP_INDEX_URL": NOWHERE}).mark == "unknown"
    monkeypatch.setenv("PIP_INDEX_URL", NOWHERE)
    assert package_point(tmp_path, plain, {}).mark == "unknown", "what pip itself is told is asked, and not another one"
    assert package_point(tmp_path, named, {}).mark == "ok"
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'gitml'\n")
    assert package_point(tmp_path, plain, {}).what == "jobs install this repository"
