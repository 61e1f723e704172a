"""JSON of people and repositories, in GitHub's shapes."""

from __future__ import annotations

import base64
import sqlite3
from typing import Any
from urllib.parse import quote

from gitml_sandbox.forge import repos, users
from gitml_sandbox.forge.context import View
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.forge.users import User

JSON = dict[str, Any]


def node_id(kind: str, number: int | str) -> str:
    """Opaque on GitHub, and here."""
    return base64.b64encode(f"{kind}:{number}".encode()).decode().rstrip("=")


def repo_api(view: View, repo: Repo) -> str:
    return f"{view.api}/repos/{repo.full_name}"


def repo_web(view: View, repo: Repo) -> str:
    return f"{view.web}/{repo.full_name}"


def user(view: View, who: User) -> JSON:
    """simple-user."""
    login = quote(who.login)
    api = f"{view.api}/users/{login}"
    return {
        "login": who.login,
        "id": who.id,
        "node_id": node_id("User", who.id),
        "avatar_url": f"{view.web}/avatars/{login}",
        "gravatar_id": "",
        "url": api,
        "html_url": f"{view.web}/{login}",
        "followers_url": f"{api}/followers",
        "following_url": f"{api}/following{{/other_user}}",
        "gists_url": f"{api}/gists{{/gist_id}}",
        "starred_url": f"{api}/starred{{/owner}}{{/repo}}",
        "subscriptions_url": f"{api}/subscriptions",
        "organizations_url": f"{api}/orgs",
        "repos_url": f"{api}/repos",
        "events_url": f"{api}/events{{/privacy}}",
        "received_events_url": f"{api}/received_events",
        "type": who.type,
        "user_view_type": "public",
        "site_admin": who.site_admin,
    }


def user_id(view: View, number: int | None) -> JSON | None:
    return user(view, users.by_id(view.tx, number)) if number is not None else None


def public_user(view: View, who: User) -> JSON:
    """public-user: what everybody may see of somebody."""
    owned = view.tx.execute("SELECT count(*) AS n FROM repos WHERE owner_id = ? AND private = 0", (who.id,)).fetchone()[
        "n"
    ]
    return {
        **user(view, who),
        "name": who.name or None,
        "company": None,
        "blog": "",
        "location": None,
        "email": None,
        "hireable": None,
        "bio": None,
        "twitter_username": None,
        "public_repos": owned,
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "created_at": who.created_at,
        "updated_at": who.created_at,
    }


def private_user(view: View, who: User) -> JSON:
    """private-user: what a person sees of themselves."""
    private = view.tx.execute(
        "SELECT count(*) AS n FROM repos WHERE owner_id = ? AND private = 1", (who.id,)
    ).fetchone()["n"]
    return {
        **public_user(view, who),
        "user_view_type": "private",
        "private_gists": 0,
        "total_private_repos": private,
        "owned_private_repos": private,
        "disk_usage": 0,
        "collaborators": 0,
        "two_factor_authentication": False,
    }


def permissions(level: str) -> JSON:
    """The five yes-or-no of a role."""
    names = {"pull": "read", "triage": "triage", "push": "write", "maintain": "maintain", "admin": "admin"}
    return {name: repos.at_least(level, wanted) for name, wanted in names.items()}


# Links of a repository that GitHub spells {api}/suffix, by the name of the field.
_LINKS = {
    "archive_url": "{archive_format}{/ref}",
    "assignees_url": "assignees{/user}",
    "blobs_url": "git/blobs{/sha}",
    "branches_url": "branches{/branch}",
    "collaborators_url": "collaborators{/collaborator}",
    "comments_url": "comments{/number}",
    "commits_url": "commits{/sha}",
    "compare_url": "compare/{base}...{head}",
    "contents_url": "contents/{+path}",
    "contributors_url": "contributors",
    "deployments_url": "deployments",
    "downloads_url": "downloads",
    "events_url": "events",
    "forks_url": "forks",
    "git_commits_url": "git/commits{/sha}",
    "git_refs_url": "git/refs{/sha}",
    "git_tags_url": "git/tags{/sha}",
    "hooks_url": "hooks",
    "issue_comment_url": "issues/comments{/number}",
    "issue_events_url": "issues/events{/number}",
    "issues_url": "issues{/number}",
    "keys_url": "keys{/key_id}",
    "labels_url": "labels{/name}",
    "languages_url": "languages",
    "merges_url": "merges",
    "milestones_url": "milestones{/number}",
    "notifications_url": "notifications{?since,all,participating}",
    "pulls_url": "pulls{/number}",
    "releases_url": "releases{/id}",
    "stargazers_url": "stargazers",
    "statuses_url": "statuses/{sha}",
    "subscribers_url": "subscribers",
    "subscription_url": "subscription",
    "tags_url": "tags",
    "teams_url": "teams",
    "trees_url": "git/trees{/sha}",
}

# What this forge does not have at all.
_ABSENT: JSON = {
    "has_projects": False,
    "has_wiki": False,
    "has_pages": False,
    "has_downloads": False,
    "has_discussions": False,
    "archived": False,
    "disabled": False,
    "homepage": None,
    "language": None,
    "license": None,
    "mirror_url": None,
    "topics": [],
    "size": 0,
    "stargazers_count": 0,
    "watchers_count": 0,
    "watchers": 0,
    "subscribers_count": 0,
    "network_count": 0,
    "forks_count": 0,
    "forks": 0,
}


def repo_id(view: View, number: int) -> JSON:
    return repository(view, repos.by_id(view.tx, number))


def repository(view: View, repo: Repo) -> JSON:
    """Serves as full-repository, repository and minimal-repository alike."""
    api, web = repo_api(view, repo), repo_web(view, repo)
    owner = users.by_id(view.tx, repo.owner_id)
    level = repos.permission(view.tx, repo, view.viewer_id)
    count = "SELECT count(*) AS n FROM issues WHERE repo_id = ? AND state = 'open'"
    open_issues = view.tx.execute(count, (repo.id,)).fetchone()["n"]
    return {
        "id": repo.id,
        "node_id": node_id("Repository", repo.id),
        "name": repo.name,
        "full_name": repo.full_name,
        "private": repo.private,
        "visibility": "private" if repo.private else "public",
        "owner": user(view, owner),
        "html_url": web,
        "description": repo.description or None,
        "fork": repo.fork_of is not None,
        "url": api,
        **{name: f"{api}/{suffix}" for name, suffix in _LINKS.items()},
        "archive_url": f"{api}/{_LINKS['archive_url']}",
        "git_url": f"{web}.git",
        "ssh_url": f"{web}.git",
        "clone_url": f"{web}.git",
        "svn_url": web,
        "created_at": repo.created_at,
        "updated_at": repo.updated_at,
        "pushed_at": repo.pushed_at,
        "default_branch": repo.default_branch,
        **_ABSENT,
        **{name: repos.switch(repo, name) for name in repos.SWITCHES},
        "open_issues_count": open_issues,
        "open_issues": open_issues,
        "permissions": permissions(level),
        "role_name": level,
        **({"organization": user(view, owner)} if owner.type == "Organization" else {}),
    }


def collaborator(view: View, who: User, level: str) -> JSON:
    return {**user(view, who), "permissions": permissions(level), "role_name": level}


def app(view: View, bot: User) -> JSON:
    """integration: an app is a bot; its id is the bot's."""
    slug = bot.login.removesuffix("[bot]")
    return {
        "id": bot.id,
        "slug": slug,
        "node_id": node_id("App", bot.id),
        "owner": user(view, bot),
        "name": bot.name or slug,
        "description": "",
        "external_url": f"{view.web}/{quote(bot.login)}",
        "html_url": f"{view.web}/{quote(bot.login)}",
        "created_at": bot.created_at,
        "updated_at": bot.created_at,
        "permissions": {"metadata": "read"},
        "events": [],
    }


def app_id(view: View, number: int | None) -> JSON | None:
    return app(view, users.by_id(view.tx, number)) if number is not None else None


def team(view: View, row: sqlite3.Row) -> JSON:
    org = users.by_id(view.tx, row["org_id"])
    api = f"{view.api}/organizations/{org.id}/team/{row['id']}"
    return {
        "id": row["id"],
        "node_id": node_id("Team", row["id"]),
        "url": api,
        "html_url": f"{view.web}/{org.login}",
        "name": row["name"],
        "slug": row["slug"],
        "description": "",
        "privacy": "closed",
        "notification_setting": "notifications_enabled",
        "permission": "pull",
        "members_url": f"{api}/members{{/member}}",
        "repositories_url": f"{api}/repos",
        "type": "organization",
        "organization_id": org.id,
        "parent": None,
    }


def organization(view: View, org: User) -> JSON:
    """organization-simple."""
    api = f"{view.api}/orgs/{org.login}"
    return {
        "login": org.login,
        "id": org.id,
        "node_id": node_id("Organization", org.id),
        "url": f"{view.api}/users/{org.login}",
        "repos_url": f"{api}/repos",
        "avatar_url": f"{view.web}/avatars/{org.login}",
        "description": "",
    }


def association(view: View, repo: Repo, who: int | None) -> str:
    """author_association: what the person is to the repository."""
    if who is None:
        return "NONE"
    if who == repo.owner_id:
        return "OWNER"
    member = view.tx.execute(
        "SELECT 1 FROM org_members WHERE org_id = ? AND user_id = ?", (repo.owner_id, who)
    ).fetchone()
    if member:
        return "MEMBER"
    known = view.tx.execute("SELECT 1 FROM collaborators WHERE repo_id = ? AND user_id = ?", (repo.id, who)).fetchone()
    return "COLLABORATOR" if known else "NONE"
