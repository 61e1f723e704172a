"""policy.yaml: who may decide what, and what a model must show before it reaches an environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from gitml.errors import Problem, SpecError
from gitml.fields import (
    Count,
    Duration,
    EnvironmentName,
    EvidenceKind,
    FileSection,
    Flag,
    Login,
    Moment,
    Name,
    PublicKey,
    TeamName,
    Text,
    Until,
    WrongValueError,
    newer_format,
    person,
)
from gitml.gates import canary
from gitml.gates.exemption import Exemption
from gitml.kinds import widened
from gitml.spec.agents import Agents
from gitml.spec.canary import CanaryRules
from gitml.spec.gates import GateName, Gates
from gitml.spec.retention import Retention
from gitml.spec.retrain import RetrainRules
from gitml.spec.reviews import LogbookRules, ReviewPeriods, kept_for_logs
from gitml.spec.root import POLICY as POLICY
from gitml.spec.validate import build, nearest
from gitml.spec.views import SiteView, view_problems
from gitml.spec.yamlfile import Document, Key, parse, read


class RoleMember(FileSection):
    """One person of the forge: a login alone, or with the numeric id that survives a change of login."""

    login: Login = Field(description="Login at the forge.")
    id: Count | None = Field(None, description="Numeric id at the forge: then nobody can take over a login given up.")

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string", "examples": ["ada"]}, handler(core)]}


class Role(FileSection):
    """Who may speak for this role."""

    people: tuple[Annotated[RoleMember, BeforeValidator(person)], ...] = Field(
        (), description="Logins, or `{login: ada, id: 583231}`."
    )
    teams: tuple[TeamName, ...] = Field((), description="Teams of the forge, as `organisation/team`.")

    @model_validator(mode="after")
    def _has_somebody(self) -> Self:
        logins = [p.login.lower() for p in self.people]
        if not logins and not self.teams:
            raise WrongValueError("the role has nobody", "add people or teams, or remove the role")
        twice = {login for login in logins if logins.count(login) > 1}
        if twice:
            raise WrongValueError(f"{min(twice)} is named twice", "logins differ by more than capital letters")
        return self


class ModelRules(FileSection):
    """What one model must meet instead of the environment's own rules."""

    gates: Gates = Field(
        default_factory=Gates, description="Each gate named here replaces the environment's gate of that name."
    )
    canary: CanaryRules | None = Field(None, description="Its candidates' rules, in place of the environment's.")
    without: tuple[GateName, ...] = Field((), description="Gates of the environment that this model is not asked.")

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        both = [name for name in self.without if name in self.gates.model_fields_set]
        if both:
            raise WrongValueError(f"{both[0]} is asked, and not asked", "keep it under `gates` or under `without`")
        return self


class Environment(FileSection):
    """A place where models answer, and the way into it."""

    description: str = Field("", description="One line for people: who uses what runs here.")
    approvals: Mapping[Name, Count] = Field(
        default_factory=dict, description="How many people of which role must approve."
    )
    gates: Gates = Field(default_factory=Gates, description="What a version must show.")
    models: Mapping[Name, ModelRules] = Field(default_factory=dict, description="Gates that differ for one model.")
    propose: Flag | None = Field(
        None,
        description="Whether the bot opens promotions to here: to the first environment of each new version, to the "
        "others of what runs in the one before. Without it the bot does so for the first environment only. Where the "
        "gate `canary` is asked of every version, it proposes them as canary or shadow.",
    )
    canary: CanaryRules | None = Field(
        None,
        description="How candidates are judged beside the champion; `{}` takes the defaults. Without it nobody looks.",
    )

    def wanted(self, model: str) -> dict[str, Any]:
        """The gates that are asked of ``model``, by name. Where candidates are judged, theirs is asked by default."""
        asked = self.gates_of(model)
        by_default = self.canary_of(model) is not None and "canary" not in asked.model_fields_set
        return {**asked.wanted, **({"canary": canary.BY_DEFAULT} if by_default else {})}

    def canary_of(self, model: str) -> CanaryRules | None:
        """The rules for candidates of ``model``; None where nothing is asked of them."""
        own = self.models.get(model)
        return (own.canary if own else None) or self.canary

    def gates_of(self, model: str) -> Gates:
        """The gates for ``model``: the environment's, each replaced where the model has its own, or left out."""
        if model not in self.models:
            return self.gates
        rules = self.models[model]
        own = {name: getattr(rules.gates, name) for name in rules.gates.model_fields_set}
        return self.gates.model_copy(update={**own, **dict.fromkeys(rules.without)})

    @model_validator(mode="after")
    def _exempts_from_what_it_asks(self) -> Self:
        for model, rules in self.models.items():
            here = (*self.gates.wanted, *(["canary"] if self.canary_of(model) else []))
            strange = [name for name in rules.without if name not in here]
            if strange:
                raise WrongValueError(
                    f"{model} is without {strange[0]}, which nothing asks here",
                    f"the gates here are: {', '.join(here) or 'none'}",
                )
        return self


class Trust(FileSection):
    """What counts as having been run."""

    branch_runs: Literal["accept", "reproduce"] = Field(
        "accept",
        description="Training on a branch: `accept` it if the forge vouches for it, or `reproduce` it.",
    )


class _Window(FileSection):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        start, end = getattr(self, "since", None), getattr(self, "until", None)
        if start and end and end <= start:
            raise WrongValueError("ends before it starts", "'until' must be later than 'from'")
        return self


class TrustedKey(_Window):
    """A public key whose signatures on evidence count."""

    public: PublicKey = Field(description="The key, as in a .pub file: `ssh-ed25519 AAAA…`.")
    owner: Text = Field(description="Who holds the private half.")
    purposes: Annotated[tuple[EvidenceKind, ...], Field(min_length=1), AfterValidator(widened)] = Field(
        description="Kinds of evidence it may sign."
    )
    since: Moment = Field(alias="from", description="Signatures made before this do not count.")
    until: Until | None = Field(None, description="Signatures made after this do not count.")


class Freeze(_Window):
    """A time in which nothing is promoted. Rollbacks still are."""

    since: Moment = Field(alias="from", description="First day or moment.")
    until: Until = Field(description="Last day (included) or moment.")
    reason: Text = Field(description="Why.")
    environments: tuple[EnvironmentName, ...] = Field((), description="Where; everywhere if none is named.")


class Override(FileSection):
    """Who may open a shut gate, by a signed statement with a reason and an end."""

    role: Name = Field(description="The role that may.")
    people: Annotated[Count, Field(ge=2)] = Field(
        2, description="How many distinct people of it are needed, at least 2."
    )
    lasts: Duration | None = Field(None, description="The longest that an override may last.")


class Policy(FileSection):
    """The whole of policy.yaml."""

    format: Literal[1] = Field(1, description="The format of this file. An older gitml refuses a newer one.")
    roles: Mapping[Name, Role] = Field(default_factory=dict, description="Who may speak for what.")
    environments: Mapping[EnvironmentName, Environment] = Field(
        min_length=1, description="Where models run, in the order of promotion."
    )
    trust: Trust = Field(default_factory=Trust, description="Which training runs are believed.")
    keys: Mapping[Name, TrustedKey] = Field(
        default_factory=dict, description="Keys whose signatures on evidence count."
    )
    freezes: tuple[Freeze, ...] = Field((), description="Times in which nothing is promoted.")
    exceptions: tuple[Exemption, ...] = Field((), description="What is allowed for a time though it is forbidden.")
    override: Override | None = Field(None, description="Who may open a shut gate; nobody if this is missing.")
    retraining: RetrainRules = Field(
        default_factory=RetrainRules, description="What holds retrainings up that gitml.yaml asks for."
    )
    reviews: ReviewPeriods = Field(
        default_factory=ReviewPeriods, description="How often people look at models that run, and who may sign it."
    )
    retention: Retention = Field(
        default_factory=Retention, description="How long traffic is kept; for ever without it."
    )
    logbook: LogbookRules = Field(default_factory=LogbookRules, description="How far back logs must reach.")
    agents: Agents = Field(default_factory=Agents, description="Coding agents, which are nobody who approves.")
    views: Mapping[Name, SiteView] = Field(
        default_factory=dict, description="What the site of a role shows; of a role that is not named, everything."
    )

    def before(self, environment: str) -> str | None:
        """The environment that a version must have reached first; None for the first one."""
        order = list(self.environments)
        place = order.index(environment)
        return order[place - 1] if place else None

    @property
    def looks_within(self) -> timedelta | None:
        """How far back gates ask what monitors saw; None where none does."""
        environments = self.environments.values()
        every = [gates for e in environments for gates in (e.gates, *(rules.gates for rules in e.models.values()))]
        return max((n.within for gates in every for _, n in gates.needs if n.what == "look" and n.within), default=None)

    @property
    def candidate_rules(self) -> tuple[CanaryRules, ...]:
        """All that say how candidates are judged somewhere."""
        every = ((e.canary, *(own.canary for own in e.models.values())) for e in self.environments.values())
        return tuple(rules for found in every for rules in found if rules)

    @property
    def judges_candidates(self) -> bool:
        return bool(self.candidate_rules)

    def proposes(self, environment: str) -> bool:
        """Whether the bot opens promotions to ``environment`` by itself."""
        wanted = self.environments[environment].propose
        return self.before(environment) is None if wanted is None else wanted


def load_policy(root: Path) -> Policy:
    """policy.yaml of the application at ``root``. Raises SpecError with every problem."""
    return _checked(read(root / POLICY, POLICY))


@lru_cache(maxsize=16)  # one commit's file is asked for by every part that reads it, and takes longer than all else
def parse_policy(content: bytes, file: str = POLICY) -> Policy:
    """The same from bytes, as they stand in a commit of the base branch."""
    return _checked(parse(content, file))


def _checked(document: Document) -> Policy:
    # First of all, because what else is wrong may be right in the newer format.
    if newer := newer_format(document.data.get("format") if isinstance(document.data, dict) else None):
        raise SpecError([document.problem(("format",), newer)])
    policy = build(Policy, document)
    problems = check_policy(policy, document)
    if problems:
        raise SpecError(problems)
    return policy


def check_policy(policy: Policy, document: Document) -> list[Problem]:
    """What the parts of policy.yaml say of one another."""
    found = [*_approvers(policy, document), *_places(policy, document), *_shared_keys(policy, document)]
    found += kept_for_logs(policy.logbook, policy.retention, document)
    return [*found, *view_problems(policy.views, policy.roles, document)]


def _approvers(policy: Policy, document: Document) -> list[Problem]:
    wanted: list[tuple[Key, str, int]] = [
        (("environments", name, "approvals", role), role, count)
        for name, environment in policy.environments.items()
        for role, count in environment.approvals.items()
    ]
    wanted += [
        ((*place, "canary", "approvals", change, role), role, count)
        for place, rules in canary_rules(policy)
        for change, roles in rules.approvals.items()
        for role, count in roles.items()
    ]
    if policy.override:
        wanted.append((("override", "role"), policy.override.role, policy.override.people))
    wanted += [(("retraining", "decline", n), role, 1) for n, role in enumerate(policy.retraining.decline)]
    wanted += [(("reviews", "roles", n), role, 1) for n, role in enumerate(policy.reviews.roles)]
    found = []
    for key, role, count in wanted:
        if role not in policy.roles:
            found.append(document.problem(key, f"there is no role {role!r}", nearest(role, policy.roles)))
        elif not policy.roles[role].teams and len(policy.roles[role].people) < count:
            there = len(policy.roles[role].people)
            message = f"needs {count} people of the role {role!r}, which has {there}"
            found.append(document.problem(key, message, f"name more people under roles.{role}, or ask for fewer"))
    return found


def canary_rules(policy: Policy) -> Iterator[tuple[Key, CanaryRules]]:
    """All rules for candidates, with where they stand."""
    for name, environment in policy.environments.items():
        if environment.canary:
            yield ("environments", name), environment.canary
        for model, own in environment.models.items():
            if own.canary:
                yield ("environments", name, "models", model), own.canary


def _places(policy: Policy, document: Document) -> list[Problem]:
    return [
        document.problem(
            ("freezes", i, "environments", j),
            f"there is no environment {name!r}",
            nearest(name, policy.environments),
        )
        for i, freeze in enumerate(policy.freezes)
        for j, name in enumerate(freeze.environments)
        if name not in policy.environments
    ]


def _shared_keys(policy: Policy, document: Document) -> list[Problem]:
    seen: dict[str, str] = {}
    found = []
    for name, key in policy.keys.items():
        blob = key.public.split()[1]
        if blob in seen:
            message = f"is the same key as {seen[blob]!r}"
            found.append(
                document.problem(("keys", name, "public"), message, "give each purpose its own key, or merge the two")
            )
        seen.setdefault(blob, name)
    return found
