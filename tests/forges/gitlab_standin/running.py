"""Pipelines, jobs, schedules and deployments."""

from __future__ import annotations

import re
from typing import Any

from forges.gitlab_standin import shapes
from forges.gitlab_standin.table import ID as _ID
from forges.gitlab_standin.table import op
from forges.gitlab_standin.world import Ask, RefusedError

_DRAFT = re.compile(r"^draft:\s*", re.I)


@op("GET", f"{_ID}/deployments")
def deployments(ask: Ask) -> Any:
    wanted = ask.one("environment")
    return [d for d in reversed(ask.world.deployments.values()) if wanted in ("", d["environment"]["name"])]


def _wanted(ask: Ask) -> str:
    if ask.body["status"] not in ("running", "success", "failed", "canceled"):
        raise RefusedError(400, "status does not have a valid value")
    return str(ask.body["status"])


@op("POST", f"{_ID}/deployments")
def deploy(ask: Ask) -> Any:
    ask.needs("write")
    _wanted(ask)
    number, sha = len(ask.world.deployments) + 1, ask.body["sha"]
    if ask.hub.session.host.history().find(sha) is None or not re.fullmatch(r"[\w /.${}-]+", ask.body["environment"]):
        raise RefusedError(400, {"sha": ["The commit does not exist"]})
    made = {"id": number, "iid": number, "sha": sha, "ref": ask.body["ref"], "status": ask.body["status"]}
    made |= {"environment": {"id": 1, "name": ask.body["environment"]}, "user": ask.person(ask.login)}
    ask.world.deployments[number] = made | {"created_at": ask.now}
    return ask.world.deployments[number]


@op("GET", f"{_ID}/deployments/{{deployment_id}}")
def deployment(ask: Ask) -> Any:
    found = ask.world.deployments.get(int(ask.path["deployment_id"]))
    if found is None:
        raise RefusedError(404, "404 Not found")
    return found


@op("PUT", f"{_ID}/deployments/{{deployment_id}}")
def change_deployment(ask: Ask) -> Any:
    ask.needs("write")
    found, status = deployment(ask), _wanted(ask)
    if status in ("running", found["status"]):
        # There is no way to what it is already, nor back to running.
        raise RefusedError(400, f"Status cannot transition via {status}")
    found["status"] = status
    return found


@op("GET", f"{_ID}/pipelines")
def pipelines(ask: Ask) -> Any:
    found = [shapes.pipeline(ask.world, p) for p in ask.world.pipelines.values() if ask.one("sha") in ("", p["sha"])]
    return [{k: v for k, v in p.items() if k not in ("user", "jobs", "variables")} for p in found]


@op("GET", f"{_ID}/pipelines/{{pipeline_id}}")
def one_pipeline(ask: Ask) -> Any:
    found = ask.world.pipelines.get(int(ask.path["pipeline_id"]))
    if found is None:
        raise RefusedError(404, "404 Not found")
    return {k: v for k, v in shapes.pipeline(ask.world, found).items() if k not in ("jobs", "variables")}


@op("GET", f"{_ID}/pipelines/{{pipeline_id}}/variables")
def pipeline_variables(ask: Ask) -> Any:
    one_pipeline(ask)
    return ask.world.pipelines[int(ask.path["pipeline_id"])].get("variables", [])


@op("GET", f"{_ID}/pipelines/{{pipeline_id}}/jobs")
def jobs(ask: Ask) -> Any:
    one_pipeline(ask)
    return [
        {k: v for k, v in j.items() if k != "archive"}
        for j in ask.world.pipelines[int(ask.path["pipeline_id"])]["jobs"]
    ]


@op("GET", f"{_ID}/jobs/{{job_id}}/artifacts")
def job_artifacts(ask: Ask) -> Any:
    every = (j for p in ask.world.pipelines.values() for j in p["jobs"])
    found = next((j for j in every if str(j["id"]) == ask.path["job_id"] and j.get("archive")), None)
    if found is None:
        raise RefusedError(404, "404 Not found")
    return found["archive"]


@op("POST", f"{_ID}/jobs/{{job_id}}/retry")
def retry(ask: Ask) -> Any:
    for run in ask.world.pipelines.values():
        for job in run["jobs"]:
            if str(job["id"]) == ask.path["job_id"]:
                again = {k: v for k, v in job.items() if k != "archive"}
                again |= {"id": next(ask.world.numbers), "status": "pending"}
                run["jobs"].append(again)
                return again
    raise RefusedError(404, "404 Not found")


@op("POST", f"{_ID}/pipeline")
def create_pipeline(ask: Ask) -> Any:
    ask.needs("write")
    head = ask.hub.session.host.head(ask.body["ref"], ask.project)
    if head is None or ask.hub.commits.file(".gitlab-ci.yml", head) is None:
        raise RefusedError(404 if head is None else 400, {"base": ["Missing CI config file"]})
    return started(ask, ask.body["ref"], head, "api", "gitml train")


def started(ask: Ask, ref: str, sha: str, source: str, name: str) -> Any:
    number = next(ask.world.numbers)
    made = {"id": number, "iid": number, "ref": ref, "sha": sha, "source": source, "status": "created", "name": name}
    ask.world.pipelines[number] = {**made, "user": ask.person(ask.login), "jobs": []}
    return shapes.pipeline(ask.world, made)


@op("GET", f"{_ID}/pipeline_schedules")
def schedules(ask: Ask) -> Any:
    return ask.world.schedules


@op("POST", f"{_ID}/pipeline_schedules")
def add_schedule(ask: Ask) -> Any:
    ask.needs("write")
    ask.world.schedules.append({"id": len(ask.world.schedules) + 1, "active": True, **ask.body})
    return ask.world.schedules[-1]


@op("POST", f"{_ID}/pipeline_schedules/{{pipeline_schedule_id}}/play")
def play(ask: Ask) -> Any:
    found = next((s for s in ask.world.schedules if str(s["id"]) == ask.path["pipeline_schedule_id"]), None)
    if found is None:
        raise RefusedError(404, "404 Pipeline Schedule Not Found")
    ref = found["ref"].removeprefix("refs/heads/")
    started(ask, ref, ask.hub.session.host.head(ref, ask.project) or "", "schedule", found["description"])
    return {"message": "201 Created"}
