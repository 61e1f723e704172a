"""Looks at live traffic and replays: seen where there is no key, signed where nothing is read, told where there is
neither. And the sites of roles. Schedules come late, twice or not at all: the next pipeline makes up for it.
"""

from __future__ import annotations

from gitml.ci.base import CiSource
from gitml.ci.github.main import ModelGroup, groups_of
from gitml.ci.github.monitor import LOOKS, TRAFFIC
from gitml.ci.github.site import site_roles
from gitml.ci.gitlab.layout import HANDOVER, handed, install, job_of, on_main, sign_in
from gitml.ci.gitlab.train import BOT
from gitml.ci.yamltext import Yaml

_SIGN = {"resource_group": "gitml-looks"}


def monitor(source: CiSource) -> dict[str, dict[str, Yaml]]:
    application, rules = source.application, on_main("monitor")
    locks = tuple(dict.fromkeys(model.packages for model in application.models.values() if model.packages))
    more, lines = sign_in(source, role="_TRAFFIC")
    script = [
        *install(source, locks if len(locks) == 1 else (), extra="serve,kpi" if application.kpis else "serve"),
        *lines,
        "gitml ci monitor evaluate",
    ]
    script += handed("looks.json", "gitml-looks")
    evaluate = job_of(
        source,
        script,
        stage="gitml-train",
        rules=rules,
        minutes=60,
        environment=TRAFFIC,
        keep=["gitml-looks/"],
        more=more,
    )
    # The real alibi-detect ends at this one.
    specs = [application.monitors.of(model) for model in application.models]
    if any(entry.alibi for spec in specs for entry in spec.detectors):
        evaluate["image"] = "python:3.11"
    sign = job_of(
        source,
        [*install(source), "gitml ci monitor sign"],
        stage="gitml-sign",
        rules=rules,
        needs=["evaluate"],
        environment=LOOKS,
        always=True,
        more=_SIGN,
    )
    tell = job_of(
        source,
        [*install(source, extra="report"), "gitml ci monitor publish"],
        stage="gitml-tell",
        rules=rules,
        needs=["sign-looks"],
        environment=BOT,
        always=True,
    )
    return {"evaluate": evaluate, "sign-looks": sign, "publish-looks": tell}


def replay(source: CiSource) -> dict[str, dict[str, Yaml]]:
    rules = on_main("replay")
    replays = {f"replay-{group.name}": _replay(source, group) for group in groups_of(source)}
    sign = job_of(
        source,
        [*install(source), "gitml ci replay sign"],
        stage="gitml-sign",
        rules=rules,
        needs=list(replays),
        environment=LOOKS,
        always=True,
        more=_SIGN,
    )
    tell = job_of(
        source,
        [*install(source, extra="report"), "gitml ci replay publish"],
        stage="gitml-tell",
        rules=rules,
        needs=["sign-replays"],
        environment=BOT,
        always=True,
    )
    return {**replays, "sign-replays": sign, "publish-replays": tell}


def _replay(source: CiSource, group: ModelGroup) -> dict[str, Yaml]:
    """Reads the traffic and the model's file; what it loads has neither the rights of the job nor a network."""
    jobs = [job for job in source.jobs if set(group.packages) & set(job.packages)] or list(source.jobs)
    more, lines = sign_in(source, role="_TRAFFIC")
    script = [
        *install(source, group.packages, extra="serve"),
        *lines,
        f"gitml ci replay evaluate {' '.join(group.models)}",
        *handed("replay.json", f"gitml-replay-{group.name}"),
    ]
    return job_of(
        source,
        script,
        stage="gitml-train",
        rules=on_main("replay"),
        labels=jobs[-1].labels if jobs else (),
        minutes=360,
        environment=TRAFFIC,
        keep=[f"gitml-replay-{group.name}/"],
        more=more,
    )


def site(source: CiSource) -> dict[str, dict[str, Yaml]]:
    """A site for each role; published where gitml.yaml has a command for it."""
    rules, found = on_main("site"), dict[str, dict[str, Yaml]]()
    for role in site_roles(source):
        place = f"{HANDOVER}/site-{role}"
        build = [*install(source, extra="site"), f'gitml site build --role {role} --out "$PWD/{place}"']
        # What it asks the forge is only read, with the bot's token.
        found[f"build-{role}"] = job_of(
            source, build, stage="gitml-train", rules=rules, environment=BOT, keep=[f"site-{role}/"]
        )
        command = source.application.sites.publish.get(role)
        if command:
            more, lines = sign_in(source, role=f"_SITE_{role.upper().replace('-', '_').replace('.', '_')}")
            script = [f'export SITE="$PWD/{place}"', *lines, command]
            made = job_of(
                source,
                script,
                stage="gitml-tell",
                rules=rules,
                needs=[f"build-{role}"],
                environment=f"gitml-site-{role}",
                more=more,
            )
            found[f"publish-{role}"] = made
    return found
