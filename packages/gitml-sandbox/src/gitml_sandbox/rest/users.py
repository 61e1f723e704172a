"""REST: people, and the repositories that they and organisations have."""

from __future__ import annotations

from typing import Literal

from gitml_sandbox.changes import refs
from gitml_sandbox.forge import emails, repos, users
from gitml_sandbox.forge.context import View
from gitml_sandbox.forge.push_policy import Actor
from gitml_sandbox.forge.refusals import RefusalError, forbidden, invalid, not_found
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.forge.users import User
from gitml_sandbox.git import reading as gitview
from gitml_sandbox.git import writing as gitwrite
from gitml_sandbox.git.repository import ZERO, Change
from gitml_sandbox.rest.call import Body, Call, Operation, Reply, created, paged
from gitml_sandbox.serial import people as people_json
from gitml_sandbox.serial.people import JSON


class Repository(Body):
    name: str
    description: str | None = None
    private: bool = False
    visibility: Literal["public", "private"] | None = None
    auto_init: bool = False
    is_template: bool | None = None
    allow_merge_commit: bool | None = None
    allow_squash_merge: bool | None = None
    allow_rebase_merge: bool | None = None
    allow_auto_merge: bool | None = None
    delete_branch_on_merge: bool | None = None
    merge_commit_title: Literal["PR_TITLE", "MERGE_MESSAGE"] | None = None
    merge_commit_message: Literal["PR_BODY", "PR_TITLE", "BLANK"] | None = None
    squash_merge_commit_title: Literal["PR_TITLE", "COMMIT_OR_PR_TITLE"] | None = None
    squash_merge_commit_message: Literal["PR_BODY", "COMMIT_MESSAGES", "BLANK"] | None = None


class Emails(Body):
    """GitHub takes {"emails": [...]}, a list alone, and one address alone."""

    emails: tuple[str, ...] = ()
    root: str | tuple[str, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        alone = (self.root,) if isinstance(self.root, str) else self.root
        if not (self.emails or alone):
            raise RefusalError(422, 'Invalid request.\n\n"emails" wasn\'t supplied.')
        return (*self.emails, *alone)


def my_emails(call: Call) -> Reply:
    return paged(call, _emails(call), lambda email: email)


def _emails(call: Call) -> list[JSON]:
    if not call.by_person:
        raise forbidden("Resource not accessible by integration")
    known = emails.listing(call.view.tx, call.by.user.id)
    # Nobody sends mail here, so nothing is left to verify.
    return [{"email": e, "primary": e == known[0], "verified": True, "visibility": _seen(e, known)} for e in known]


def _seen(email: str, known: list[str]) -> str | None:
    return "private" if email == known[0] else None


def add_emails(call: Call) -> Reply:
    before = _emails(call)
    emails.add(call.view.tx, call.by.user.id, call.body(Emails).addresses)
    return Reply([email for email in _emails(call) if email not in before], 201)


def remove_emails(call: Call) -> Reply:
    _emails(call)
    emails.remove(call.view.tx, call.by.user.id, call.body(Emails).addresses)
    return Reply(status=204)


def me(call: Call) -> Reply:
    if not call.by_person:
        raise forbidden("Resource not accessible by integration")
    return Reply(people_json.private_user(call.view, call.by.user))


def one(call: Call) -> Reply:
    who = users.find(call.view.tx, call.path["username"])
    if who is None:
        raise not_found()
    return Reply(people_json.public_user(call.view, who))


def my_repos(call: Call) -> Reply:
    """Those that the user owns or was given a role in; public ones of others are not theirs."""
    view, who = call.view, call.by.user
    wanted = call.query.get("visibility") or call.query.get("type") or "all"
    mine = [r for r in repos.listing(view.tx, who.id) if _given(view, r, who)]
    kept = [r for r in mine if wanted not in ("public", "private") or r.private == (wanted == "private")]
    if call.query.get("affiliation") == "owner" or wanted == "owner":
        kept = [r for r in kept if r.owner_id == who.id]
    bound = call.by.token.repo_id if call.by.token else None
    kept = [r for r in kept if bound in (None, r.id)]
    return paged(call, sorted(kept, key=lambda r: r.full_name.lower()), lambda r: people_json.repository(view, r))


def _given(view: View, repo: Repo, who: User) -> bool:
    if repo.owner_id == who.id:
        return True
    return repo.private or repos.at_least(repos.permission(view.tx, repo, who.id), "triage")


def _org(call: Call) -> User:
    with call.sandbox.store.read() as tx:
        org = users.find(tx, call.path["org"])
    if org is None or org.type != "Organization":
        raise not_found()
    return org


def org_repos(call: Call) -> Reply:
    view, org = call.view, users.find(call.view.tx, call.path["org"])
    if org is None or org.type != "Organization":
        raise not_found()
    seen = [r for r in repos.listing(view.tx, view.viewer_id) if r.owner_id == org.id]
    kind = call.query.get("type", "all")
    kept = [r for r in seen if kind not in ("public", "private") or r.private == (kind == "private")]
    return paged(call, kept, lambda r: people_json.repository(view, r))


def team_members(call: Call) -> Reply:
    """Of a team, for members of its organisation; the token of a job sees none, as on GitHub."""
    view, org = call.view, users.find(call.view.tx, call.path["org"])
    if org is None or org.type != "Organization" or call.by_job or not belongs(call, org):
        raise not_found()
    team = "SELECT user_id FROM teams JOIN team_members ON team_id = teams.id WHERE org_id = ? AND slug = ?"
    known = view.tx.execute("SELECT 1 FROM teams WHERE org_id = ? AND slug = ?", (org.id, call.path["team_slug"]))
    if known.fetchone() is None:
        raise not_found()
    rows = view.tx.execute(f"{team} ORDER BY user_id", (org.id, call.path["team_slug"])).fetchall()
    return paged(call, rows, lambda r: people_json.user_id(view, r["user_id"]))


def belongs(call: Call, org: User) -> bool:
    """Members of the organisation, and apps that are installed in a repository of it."""
    who = call.by.user
    member = "SELECT 1 FROM org_members WHERE org_id = ? AND user_id = ?"
    if who.site_admin or call.view.tx.execute(member, (org.id, who.id)).fetchone() is not None:
        return True
    mine = [r for r in repos.listing(call.view.tx, who.id) if r.owner_id == org.id] if who.type == "Bot" else []
    return any(repos.at_least(repos.permission(call.view.tx, r, who.id), "triage") for r in mine)


def create_mine(call: Call) -> Reply:
    if not call.by_person:
        raise forbidden("Resource not accessible by integration")
    return _create(call, call.by.user)


def create_in_org(call: Call) -> Reply:
    org = _org(call)
    with call.sandbox.store.read() as tx:
        row = tx.execute(
            "SELECT 1 FROM org_members WHERE org_id = ? AND user_id = ?", (org.id, call.by.user.id)
        ).fetchone()
    if row is None and not call.by.user.site_admin:
        raise forbidden("You need to be a member of the organization to create repositories there.")
    return _create(call, org)


def _create(call: Call, owner: User) -> Reply:
    wanted = call.body(Repository)
    _check_name(call, owner, wanted.name)
    private = wanted.private or wanted.visibility == "private"
    repo = repos.create(call.sandbox, owner.id, wanted.name, private=private, description=wanted.description or "")
    settings = {k: v for k, v in wanted.given().items() if k in repos.SWITCHES and v is not None}
    with call.sandbox.store.write() as tx:
        repos.set_settings(tx, repo, settings)
        if owner.id != call.by.user.id:
            repos.set_collaborator(tx, repo.id, call.by.user.id, "admin")
        repo = repos.by_id(tx, repo.id)
    if wanted.auto_init:
        _initialise(call, repo)
    with call.sandbox.store.read() as tx:
        shown = people_json.repository(View(call.sandbox, tx, call.by.user.id), repos.by_id(tx, repo.id))
    return created(shown)


def _check_name(call: Call, owner: User, name: str) -> None:
    if not repos.valid_name(name):
        raise invalid("Repository", "name", "custom", "name is invalid")
    with call.sandbox.store.read() as tx:
        if repos.find(tx, owner.login, name) is not None:
            error = {"resource": "Repository", "code": "custom", "field": "name"}
            raise RefusalError(
                422,
                "Repository creation failed.",
                errors=[{**error, "message": "name already exists on this account"}],
            )


def _initialise(call: Call, repo: Repo) -> None:
    """A first commit with a README, as auto_init promises."""
    bare, by = repos.path(call.sandbox, repo), call.by
    text = f"# {repo.name}\n{repo.description}".rstrip() + "\n"
    tree = gitwrite.edit_tree(bare, None, {"README.md": ("100644", gitwrite.write_blob(bare, text.encode()))})
    me_ = gitview.Signature(by.user.name or by.user.login, by.user.mail, call.sandbox.now())
    sha = gitwrite.make_commit(bare, tree, [], "Initial commit\n", gitwrite.Stamp(me_, me_))
    refs.update(call.sandbox, repo, [Change(f"refs/heads/{repo.default_branch}", ZERO, sha)], Actor(by.user))


OPERATIONS = (
    Operation("GET", "/user", me, login=True),
    Operation("GET", "/user/emails", my_emails, scope="email-addresses", login=True),
    Operation("POST", "/user/emails", add_emails, scope="email-addresses", tx="write", body=Emails, login=True),
    Operation("DELETE", "/user/emails", remove_emails, scope="email-addresses", tx="write", body=Emails, login=True),
    Operation("GET", "/users/{username}", one),
    Operation("GET", "/user/repos", my_repos, login=True),
    Operation("POST", "/user/repos", create_mine, scope="administration", tx="none", body=Repository),
    Operation("GET", "/orgs/{org}/repos", org_repos),
    Operation("GET", "/orgs/{org}/teams/{team_slug}/members", team_members, login=True),
    Operation("POST", "/orgs/{org}/repos", create_in_org, scope="administration", tx="none", body=Repository),
)
