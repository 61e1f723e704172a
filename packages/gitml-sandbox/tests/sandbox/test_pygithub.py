"""An independent client drives the whole life of a pull request."""

from __future__ import annotations

import pytest
from github import Auth, Github, GithubException

from sandbox.forge_kit import Kit


def client(kit: Kit, login: str) -> Github:
    return Github(
        auth=Auth.Token(kit.token[login]),
        base_url=f"{kit.url}/api/v3",
        retry=None,
        per_page=2,
        seconds_between_writes=None,
        seconds_between_requests=None,
    )


@pytest.mark.slow
@pytest.mark.nightly
def test_the_life_of_a_pull_request(kit: Kit) -> None:
    ada, olga, bot = client(kit, "ada"), client(kit, "olga"), client(kit, "gitml-bot[bot]")
    repo = ada.get_user().create_repo("life", private=True, auto_init=True)
    repo.add_to_collaborators("olga", "push")
    repo.add_to_collaborators("gitml-bot[bot]", "push")
    ada.get_user().add_to_emails("ada@life.example")
    assert [e.email for e in ada.get_user().get_emails()] == ["ada@life.example"]
    ada.get_user().remove_from_emails("ada@life.example")
    main = repo.get_branch("main")
    repo.create_git_ref("refs/heads/feature", main.commit.sha)
    made = repo.create_file("models/delay/production.yaml", "promote", "version: a\n", branch="feature")
    pull = repo.create_pull(base="main", head="feature", title="Promote delay", body="Evidence below")
    assert pull.user.login == "ada"
    assert [f.filename for f in pull.get_files()] == ["models/delay/production.yaml"]
    assert [c.sha for c in pull.get_commits()] == [made["commit"].sha]

    main.edit_protection(
        strict=True,
        contexts=["gate"],
        enforce_admins=True,
        required_approving_review_count=1,
        dismiss_stale_reviews=True,
    )
    assert repo.get_branch("main").get_protection().required_status_checks.contexts == ["gate"]
    with pytest.raises(GithubException) as refused:
        pull.merge()
    assert refused.value.status == 405
    with pytest.raises(GithubException) as own:
        pull.create_review(event="APPROVE")
    assert own.value.status == 422

    pull.create_issue_comment("The gate is open")
    pull.add_to_labels("promotion")
    pull.create_review_request(reviewers=["olga"])
    theirs = olga.get_repo("ada/life").get_pull(pull.number)
    review = theirs.create_review(commit=repo.get_commit(pull.head.sha), body="fine", event="APPROVE")
    assert review.state == "APPROVED"
    status = (
        bot.get_repo("ada/life")
        .get_commit(pull.head.sha)
        .create_status("success", context="gate", description="all 5 gates")
    )
    assert status.creator.type == "Bot"
    assert repo.get_commit(pull.head.sha).get_combined_status().state == "success"
    run = bot.get_repo("ada/life").create_check_run("report", pull.head.sha, status="completed", conclusion="neutral")
    assert run.app.slug == "gitml-bot"

    sha = pull.head.sha
    repo.update_file("models/delay/production.yaml", "sneak", "version: b\n", made["content"].sha, branch="feature")
    with pytest.raises(GithubException) as moved:
        pull.merge(sha=sha)
    assert moved.value.status == 409
    pull = repo.get_pull(pull.number)
    assert [r.state for r in pull.get_reviews()] == ["DISMISSED"]
    olga.get_repo("ada/life").get_pull(pull.number).create_review(event="APPROVE")
    bot.get_repo("ada/life").get_commit(pull.head.sha).create_status("success", context="gate")

    done = pull.merge(merge_method="squash", sha=pull.head.sha)
    assert done.merged
    pull = repo.get_pull(pull.number)
    assert (pull.merged, pull.merged_by.login, pull.merge_commit_sha) == (True, "ada", done.sha)
    assert repo.get_contents("models/delay/production.yaml").decoded_content == b"version: b\n"
    assert [c.body for c in pull.get_issue_comments()] == ["The gate is open"]
    deployment = repo.create_deployment("main", environment="production", required_contexts=[], auto_merge=False)
    deployment.create_status("success", environment_url="http://127.0.0.1:1/")
    assert [s.state for s in deployment.get_statuses()] == ["success"]
    assert repo.compare(main.commit.sha, "main").ahead_by == 1
    assert repo.get_collaborator_permission("olga") == "write"
    # Pages of two: the client walks the Link headers.
    for number in range(5):
        repo.create_issue(title=f"issue {number}")
    assert repo.get_issues(state="all").totalCount == 6
    assert len(list(repo.get_issues(state="all"))) == 6
    for each in (ada, olga, bot):
        each.close()
