"""What `cml` of CML 0.20.6 does of what gitml asks for, as a program: tests need no npm.

Its answers are those of the real one: test_posting.py runs against both where there is a real one on PATH.
STAND_IN_MODE makes it misbehave.
"""

import json
import os
import re
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

MODE = os.environ.get("STAND_IN_MODE", "")
OPTIONS = {"target", "pr", "commit-sha", "head-sha", "watch", "trigger-file", "publish", "publish-url"}
OPTIONS |= {"publish-native", "native", "update", "rm-watermark", "watermark-title"}
OPTIONS |= {"driver", "driver-token", "token", "repo", "log"}
GLOBAL = ("DRIVER", "DRIVER_TOKEN", "LOG", "REPO", "TOKEN")


def main() -> None:
    event = os.environ.get("GITHUB_EVENT_PATH")
    if event and Path(event).exists():
        json.loads(Path(event).read_text())
    elif event:
        print(f"GITHUB_EVENT_PATH {event} does not exist")
    if sys.argv[1:] == ["--version"]:
        if MODE == "hangs early":
            time.sleep(60)
        print("0.19.1" if MODE == "old" else "0.20.6")
        return
    create(options(sys.argv[3:-1]))


def options(words: list[str]) -> dict[str, str]:
    """Those of the command line before those of CML_COMMENT_*; one that is not known ends it."""
    env = dict(os.environ)
    env |= {
        k.replace("CML_SEND_COMMENT", "CML_COMMENT"): v for k, v in env.items() if k.startswith("CML_SEND_COMMENT_")
    }
    env |= {f"CML_COMMENT_{n}": env[f"CML_{n}"] for n in GLOBAL if f"CML_{n}" in env}
    prefix = "CML_COMMENT_"
    found = {k.removeprefix(prefix).lower().replace("_", "-"): v for k, v in env.items() if k.startswith(prefix)}
    given = dict((w[2:] if "=" in w else f"{w[2:]}=true").split("=", 1) for w in words)
    unknown = sorted(set(found) - OPTIONS)
    if unknown:
        refuse(f"Unknown argument: {unknown[0]}")
    for one in ("pr", "commit-sha"):
        if one in found:
            refuse(f"Arguments {one} and target are mutually exclusive")
    return found | given


def refuse(why: str) -> None:
    print(f"cml.js comment create <markdown file>\n\nCreate a comment\n\n{why}", file=sys.stderr)
    sys.exit(1)


def fail(why: str) -> None:
    """As the real one logs an error: one line of JSON with the whole request, the token taken out, and a trace."""
    request = {"headers": {"authorization": "token [REDACTED]"}, "agent": {"keyList": [None] * 200}}
    entry = {"level": "error", "message": why, "name": "HttpError", "request": request, "stack": f"HttpError: {why}"}
    print(json.dumps(entry | {"status": 401}), file=sys.stderr)
    sys.exit(1)


def create(options: dict[str, str]) -> None:
    token = options.get("token") or options.get("driver-token") or os.environ["REPO_TOKEN"]
    if MODE == "fails":
        fail(f"Bad credentials for {token}\n::error::x")
    if MODE == "crashes":
        print("/a/cml.js:3\n  x\nSyntaxError: Unexpected token\n    at x (y)\n\nNode.js v12.22.9", file=sys.stderr)
        sys.exit(1)
    if MODE == "lies":
        print("https://example.org/nothing")
        return
    if options.get("watch") == "true":
        print(json.dumps({"level": "info", "message": "watching for file changes..."}), file=sys.stderr)
        time.sleep(60)
    print(post(options, token))


def post(options: dict[str, str], token: str) -> str:
    host, repo = re.fullmatch(r"https://([^/]+)/(.+)", options["repo"]).groups()
    kind, number = options["target"].split("/")
    home = f"https://{host}/api/v3/repos/{repo}"
    title = re.sub(r"([_*\[<])", r"\\\1", f"CML watermark {options['watermark-title']}".strip())
    mark = f'![](https://cml.dev/watermark.png#{os.environ["GITHUB_SHA"]} "{title}")'
    known = re.compile(r'!\[\]\(https://cml\.dev/watermark\.png#[0-9a-fA-F]+ "' + re.escape(title) + r'"\)')
    body = {"body": Path(sys.argv[-1]).read_text(encoding="utf-8") + "\n\n" + mark}
    every = f"{home}/issues/{number}/comments" if kind == "pr" else f"{home}/commits/{number}/comments"
    one = f"{home}/issues/comments" if kind == "pr" else f"{home}/comments"
    there = listed(every, token, every_page=kind == "commit")
    found = [c for c in reversed(there) if known.search(c["body"])]
    done, _ = call("PATCH", f"{one}/{found[0]['id']}", token, body) if found else call("POST", every, token, body)
    if MODE == "hangs":
        time.sleep(60)
    return done["html_url"]


def listed(url: str, token: str, *, every_page: bool) -> list:
    """Of a pull request one page, of a commit all of them."""
    found, after = call("GET", url, token)
    following = re.search(r'<([^>]+)>; rel="next"', after or "")
    return found + listed(following[1], token, every_page=True) if every_page and following else found


def call(method: str, url: str, token: str, body: dict | None = None) -> tuple:
    data = json.dumps(body).encode() if body else None
    headers = {"Authorization": f"token {token}", "Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method)) as answer:
            return json.load(answer), answer.headers.get("Link")
    except urllib.error.HTTPError as exc:
        fail(json.load(exc)["message"])
        raise
    except urllib.error.URLError as exc:
        fail(f"request to {url} failed, reason: {exc.reason}")
        raise


main()
