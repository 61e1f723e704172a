"""What a statement says in the words of its predicate's own specification, for tools that know nothing of gitml.

``trained`` is SLSA provenance v1, https://slsa.dev/spec/v1.0/provenance; ``gate`` is in-toto's test-result v0.1,
https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md. Everything here follows from the
binding and the details, so a reader makes it again and compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from gitml.kinds import PROVENANCE, TEST_RESULT

# In the details: resource descriptors of what a training read besides the code, and the workflow that ran it.
MATERIALS, WORKFLOW = "materials", "workflow"
_BUILD_TYPE = {1: "https://gitml.dev/training/v1", 2: "https://gitml.dev/training/v2"}
_LOCAL = "https://gitml.dev/local"
_RESULTS = {"passed": "PASSED", "failed": "FAILED", "inconclusive": "WARNED"}
_OTHER = ("approvals", "freeze", "hold")


class BoundFields(Protocol):
    """What is read of a binding."""

    @property
    def format(self) -> int: ...
    @property
    def host(self) -> str: ...
    @property
    def repository(self) -> str: ...
    @property
    def time(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def head(self) -> str: ...
    @property
    def policy(self) -> str: ...
    @property
    def run(self) -> str: ...
    @property
    def result(self) -> str: ...


def standard(predicate: str, about: BoundFields, details: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that the specification of ``predicate`` asks for; none for gitml's own kinds."""
    if predicate == TEST_RESULT:
        return _test_result(about, details)
    if predicate == PROVENANCE:
        return _provenance_1(about) if about.format == 1 else _provenance(about, details)
    return {}


def _test_result(about: BoundFields, details: Mapping[str, Any]) -> dict[str, Any]:
    policy: dict[str, Any] = {"name": "policy.yaml"}
    if about.policy:
        policy["digest"] = {"sha256": about.policy}
    common = {"configuration": [policy], "url": about.run}
    if about.format == 1:
        return {"result": _RESULTS[about.result], **common}
    tests = dict(_tests(details))
    named = {key: sorted(name for name, found in tests.items() if found == key) for key in _TESTS}
    passed = "WARNED" if named["warnedTests"] else "PASSED"
    return {"result": passed if about.result == "passed" else "FAILED", **common, **named}


_TESTS = ("passedTests", "warnedTests", "failedTests")


def _tests(details: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each gate by the list that it belongs to. What waits is not open, so it has failed; what people opened warns."""
    gates, override = details.get("gates"), details.get("override")
    opened = override.get("gates") if isinstance(override, Mapping) else ()
    opened = opened if isinstance(opened, Sequence) else ()
    verdicts = {**(gates if isinstance(gates, Mapping) else {}), **{n: details[n] for n in _OTHER if n in details}}
    for name, verdict in verdicts.items():
        phase = verdict.get("phase") if isinstance(verdict, Mapping) else None
        yield name, "passedTests" if phase == "successful" else "warnedTests" if name in opened else "failedTests"
    if details.get("refused"):
        yield "refused", "failedTests"


def _provenance(about: BoundFields, details: Mapping[str, Any]) -> dict[str, Any]:
    home = f"{about.host or 'local'}/{about.repository}"
    code = {"name": "code", "uri": f"git+https://{home}", "digest": {"gitCommit": about.head}}
    given = details.get(MATERIALS)
    materials = given if isinstance(given, list | tuple) else ()
    workflow, run, attempt = (details.get(key) for key in (WORKFLOW, "run", "attempt"))
    invocation = run if isinstance(run, str) and run else about.run
    builder = f"https://{home}/{workflow}" if isinstance(workflow, str) else f"https://{home}" if about.host else _LOCAL
    return {
        "buildDefinition": {
            "buildType": _BUILD_TYPE[2],
            "externalParameters": {"model": about.model, "source": f"git+https://{home}@{about.head}"},
            "internalParameters": {"version": about.version},
            "resolvedDependencies": [*([code] if about.head else []), *materials],
        },
        "runDetails": {
            "builder": {"id": builder},
            "metadata": {"invocationId": f"{invocation}/attempts/{attempt}" if attempt else invocation},
        },
    }


def _provenance_1(about: BoundFields) -> dict[str, Any]:
    source = {"uri": f"git+https://{about.repository}", "digest": {"gitCommit": about.head}}
    return {
        "buildDefinition": {
            "buildType": _BUILD_TYPE[1],
            "externalParameters": {"model": about.model, "version": about.version},
            "resolvedDependencies": [source] if about.head else [],
        },
        "runDetails": {
            "builder": {"id": about.run or "local"},
            "metadata": {"invocationId": about.run, "finishedOn": about.time},
        },
    }
