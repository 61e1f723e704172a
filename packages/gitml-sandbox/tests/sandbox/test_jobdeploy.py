"""Jobs with an Environment are deployments."""

from __future__ import annotations

from sandbox.runner_kit import Works


def test_a_job_with_an_environment_is_a_deployment(works: Works) -> None:
    """Row run/deployment."""
    sha = works.flow(
        """
        on: push
        jobs:
          good:
            runs-on: ubuntu-latest
            environment: {name: staging, url: https://staging.example}
            steps: [{run: echo done}]
          bad: {runs-on: ubuntu-latest, environment: production, steps: [{run: exit 1}]}
          plain: {runs-on: ubuntu-latest, steps: [{run: ls}]}
        """
    )
    (run,) = works.done()
    made = works.api("GET", "/deployments", checked=True).json()
    assert {(d["environment"], d["ref"], d["sha"], d["creator"]["login"]) for d in made} == {
        ("staging", "main", sha, "github-actions[bot]"),
        ("production", "main", sha, "github-actions[bot]"),
    }
    told = {}
    for one in made:
        found = works.api("GET", f"/deployments/{one['id']}/statuses", checked=True).json()
        told[one["environment"]] = [s["state"] for s in found]
        assert all(s["log_url"].endswith(f"/actions/runs/{run['id']}") for s in found)
        assert ("environment_url" in found[0]) == (one["environment"] == "staging")
    assert told == {"staging": ["success", "in_progress"], "production": ["failure", "in_progress"]}
    works.settled()
    assert len(works.runs()) == 1, "what a job's own token does starts nothing"
