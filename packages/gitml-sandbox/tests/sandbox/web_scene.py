"""A repository as it looks after some work: for the browser test and for the pictures of the documentation."""

from __future__ import annotations

from dataclasses import dataclass
from math import sin
from pathlib import Path

from gitml_sandbox.forge import repos, users
from gitml_sandbox.forge.repos import Repo
from sandbox.forge_kit import Kit, commit, git
from sandbox.web_kit import api, png, protect

README = """# flight-delay

Will the flight arrive more than 15 minutes late? A gradient-boosted model, retrained when the flights change.

| environment | version | AUC | late flights found |
|---|---|---:|---:|
| production | `2026-09-02-1f3c9a07` | .742 | 61 % |
| staging | `2026-11-21-8d41c2e9` | .768 | 66 % |

```console
$ gitml train delay
$ gitml show delay@latest
```

- [x] trained on New York's flights of 2013
- [ ] canary at 10 %

See [the model](src/delay/model.py) and #1.
"""
MODEL = '''"""Will the flight arrive late?"""

from __future__ import annotations

import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

LATE_MINUTES = 15


def train(flights: pd.DataFrame, *, depth: int = 6) -> HistGradientBoostingClassifier:
    """Fit on flights that have arrived; the label is known hours later."""
    features = flights.drop(columns=["arr_delay"])
    label = flights["arr_delay"] > LATE_MINUTES  # NaN: cancelled, counts as not late
    return HistGradientBoostingClassifier(max_depth=depth).fit(features, label)
'''
REPORT = """### Promotion of `delay@8d41c2e9` to production

Better than the running model on the last four weeks, **outside the noise band** of the paired bootstrap.

| metric | running | candidate | difference | 95 % band | gate |
|---|---:|---:|---:|---|---|
| AUC | .742 | **.768** | +.026 | +.019 … +.033 | ✅ ≥ +.005 |
| Brier score | .163 | **.151** | −.012 | −.016 … −.009 | ✅ |
| money lost a day | $4,812 | **$4,377** | −$435 | −$602 … −$281 | ✅ |
| drift (PSI, worst column) | | .31 | | | ⚠️ `dep_delay` |

![Reliability of both models]({picture})

<details><summary>Lineage</summary>

Trained by @ada from `data/flights.parquet` (sha-256 `91ab…40`), params `depth: 6`, locked packages `c77d…`.

</details>
"""


@dataclass(frozen=True)
class Scene:
    """The repository, its clone, and the numbers of two pull requests: one with a story, one to merge."""

    repo: Repo
    clone: Path
    promotion: int
    small: int


def scene(kit: Kit, folder: Path) -> Scene:
    """Build it, through Git and the API."""
    with kit.sandbox.store.write() as tx:
        users.find(tx, "acme") or users.add(tx, "acme", type="Organization", name="Acme Air")
        owner = users.get(tx, "acme").id
    repo = repos.create(kit.sandbox, owner, "flight-delay", description="Will the flight arrive late?")
    with kit.sandbox.store.write() as tx:
        for login, level in {"ada": "write", "olga": "maintain", "rita": "write", "gitml-bot[bot]": "write"}.items():
            repos.set_collaborator(tx, repo.id, users.get(tx, login).id, level)
    clone = kit.clone(repo, folder)
    _main(kit, repo, clone)
    return Scene(repo, clone, _promotion(kit, repo, clone), _small(kit, repo, clone))


def _main(kit: Kit, repo: Repo, clone: Path) -> None:
    commit(clone, "README.md", README, "Describe the application")
    commit(clone, "src/delay/model.py", MODEL, "Train on what is known at departure")
    commit(clone, "params.yaml", "delay:\n  depth: 4\n  learning_rate: 0.1\n", "Parameters of the model")
    commit(clone, "models/delay/production.yaml", _deployment("2026-09-02-1f3c9a07"), "Model delay goes to production")
    commit(clone, "CODEOWNERS", "/models/ @olga @rita\n", "Operations and risk own what runs")
    git(clone, "push", "-q", kit.remote(repo, "ada"), "HEAD:main")
    git(clone, "checkout", "-q", "--orphan", "gitml-assets")
    git(clone, "rm", "-rqf", ".")
    (clone / "reliability.png").write_bytes(png(560, 260, _chart))
    git(clone, "add", "reliability.png")
    git(clone, "commit", "-q", "-m", "Pictures")
    git(clone, "push", "-q", kit.remote(repo, "ada"), "HEAD:gitml-assets")
    git(clone, "checkout", "-q", "-B", "main", "-t", "origin/main") if _tracked(clone) else None


def _tracked(clone: Path) -> bool:
    git(clone, "fetch", "-q", "origin")
    return True


def _deployment(version: str) -> str:
    return f"model: delay\nenvironment: production\nversion: {version}\ncanary: 0\n"


def _chart(x: int, y: int) -> tuple[int, int, int]:
    """Two curves over a grid."""
    if x < 40 or y > 230 or x > 545 or y < 12:
        return (255, 255, 255)
    part = (x - 40) / 505
    running = 230 - 200 * (part**1.6) - 10 * sin(part * 9)
    candidate = 230 - 200 * part - 5 * sin(part * 12)
    if abs(y - candidate) < 2.2:
        return (15, 107, 98)
    if abs(y - running) < 2.2:
        return (180, 83, 9)
    return (225, 225, 222) if (x - 40) % 101 == 0 or (y - 12) % 44 == 0 else (250, 250, 248)


def _promotion(kit: Kit, repo: Repo, clone: Path) -> int:
    """Opened by the bot with a report; asked to change, changed, approved, and one check is red."""
    full = repo.full_name
    git(clone, "checkout", "-q", "-b", "promote/delay-8d41c2e9")
    commit(clone, "models/delay/production.yaml", _deployment("2026-11-21-8d41c2e9"), "Promote delay@8d41c2e9")
    git(clone, "push", "-q", kit.remote(repo, "gitml-bot[bot]"), "HEAD:promote/delay-8d41c2e9")
    picture = f"{kit.url}/{full}/raw/gitml-assets/reliability.png"
    new = {
        "title": "Promote delay@8d41c2e9 to production",
        "head": "promote/delay-8d41c2e9",
        "base": "main",
        "body": REPORT.replace("{picture}", picture),
    }
    number = int(api(kit, "gitml-bot[bot]", "POST", f"/repos/{full}/pulls", new, 201)["number"])
    one = f"/repos/{full}/pulls/{number}"
    api(kit, "olga", "POST", f"/repos/{full}/issues/{number}/labels", {"labels": ["promotion", "model: delay"]})
    api(kit, "olga", "POST", f"{one}/requested_reviewers", {"reviewers": ["rita"]}, 201)
    note = {"path": "models/delay/production.yaml", "line": 4, "side": "RIGHT", "body": "Ten percent first, please."}
    changes = {
        "event": "REQUEST_CHANGES",
        "body": "`dep_delay` has drifted. Start with a **canary**.",
        "comments": [note],
    }
    api(kit, "olga", "POST", f"{one}/reviews", changes)
    text = _deployment("2026-11-21-8d41c2e9").replace("canary: 0", "canary: 10")
    sha = commit(clone, "models/delay/production.yaml", text, "Canary at ten percent")
    git(clone, "push", "-q", kit.remote(repo, "gitml-bot[bot]"), "HEAD:promote/delay-8d41c2e9")
    api(kit, "ada", "POST", f"/repos/{full}/issues/{number}/comments", {"body": "@olga done: it begins at 10 %."}, 201)
    api(kit, "olga", "POST", f"{one}/reviews", {"event": "APPROVE", "body": "Thanks."})
    _statuses(kit, repo, sha)
    _protected(kit, repo)
    _deployments(kit, repo, clone)
    return number


def _statuses(kit: Kit, repo: Repo, sha: str) -> None:
    for context, state, words in (
        ("gitml/gate", "success", "6 of 6 gates passed, evidence signed"),
        ("gitml/fairness", "failure", "Carrier YV: recall 9 points below the others, limit 5"),
        ("test / unit", "success", "184 passed in 41 s"),
        ("test / canary", "pending", "Day 2 of 3"),
    ):
        body = {"state": state, "context": context, "description": words}
        api(kit, "gitml-bot[bot]", "POST", f"/repos/{repo.full_name}/statuses/{sha}", body, 201)


def _protected(kit: Kit, repo: Repo) -> None:
    rule = {
        "required_pull_request_reviews": {
            "required_approving_review_count": 1,
            "dismiss_stale_reviews": True,
            "require_code_owner_reviews": True,
        },
        "required_status_checks": {"strict": False, "contexts": ["gitml/gate", "gitml/fairness"]},
        "enforce_admins": True,
    }
    protect(kit, repo, rule)


def _deployments(kit: Kit, repo: Repo, clone: Path) -> None:
    full = repo.full_name
    for environment, state, words in (
        ("staging", "success", "delay@8d41c2e9: p99 3.1 ms, no errors"),
        ("production", "success", "delay@1f3c9a07: healthy for 81 days"),
    ):
        body = {"ref": "main", "environment": environment, "required_contexts": [], "description": "model delay"}
        made = api(kit, "gitml-bot[bot]", "POST", f"/repos/{full}/deployments", body, 201)
        status = {"state": state, "description": words}
        api(kit, "gitml-bot[bot]", "POST", f"/repos/{full}/deployments/{made['id']}/statuses", status, 201)


def _small(kit: Kit, repo: Repo, clone: Path) -> int:
    """One file, no story: somebody has to review and merge it."""
    git(clone, "checkout", "-q", "-b", "deeper-trees", "origin/main")
    commit(clone, "params.yaml", "delay:\n  depth: 6\n  learning_rate: 0.08\n", "Deeper trees, smaller steps")
    git(clone, "push", "-q", kit.remote(repo, "ada"), "HEAD:deeper-trees")
    new = {"title": "Deeper trees", "head": "deeper-trees", "base": "main", "body": "AUC +.011 on @rita's slices."}
    number = int(api(kit, "ada", "POST", f"/repos/{repo.full_name}/pulls", new, 201)["number"])
    sha = git(clone, "rev-parse", "HEAD").strip()
    for context in ("gitml/gate", "gitml/fairness"):
        body = {"state": "success", "context": context, "description": "passed"}
        api(kit, "gitml-bot[bot]", "POST", f"/repos/{repo.full_name}/statuses/{sha}", body, 201)
    return number
