"""All that the pages are made of: frozen records without behaviour, times as ISO text in UTC.

What is not known is empty or None, and ``SiteFacts.notes`` says why. Nothing here depends on who looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gitml.site.businessfacts import SiteBias, SiteCausal, SiteRetraining, SiteReturn
from gitml.site.servedfacts import ServerDay, VersionDay
from gitml.site.versionfacts import SiteModel
from gitml.site.watchfacts import SiteImpact, SiteLook, SiteTrial
from gitml.verdict import Phase


@dataclass(frozen=True)
class SiteEnvironment:
    """An environment of policy.yaml, in the order of promotion. ``gates``: name → what is asked, as text."""

    name: str
    description: str
    approvals: Mapping[str, int]
    gates: Mapping[str, str]


@dataclass(frozen=True)
class SitePin:
    """A version beside the champion, and its share of the traffic in percent."""

    version: str
    role: str
    share: float


@dataclass(frozen=True)
class SiteState:
    """One model in one environment: what main wants, what runs, and what keeps it from changing.

    ``sync`` is in step, behind, failing or unknown; ``health`` what the agent said last.
    """

    model: str
    environment: str
    champion: str
    others: tuple[SitePin, ...]
    since: str
    commit: str
    pull: int | None
    approved_by: tuple[str, ...]
    approvals_from: str
    live: str
    live_since: str
    live_by: str
    sync: str
    health: str
    holds: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    problem: str = ""
    is_retired: bool = False


@dataclass(frozen=True)
class SiteGate:
    """One gate's answer."""

    name: str
    phase: Phase
    reason: str


@dataclass(frozen=True)
class SiteAttempt:
    """What an agent reported of one change: that a version answers, or why it does not. ``seconds``: from the moment
    that it saw the change; ``signer``: the name of its key."""

    model: str
    environment: str
    version: str
    time: str
    passed: bool
    reason: str
    seconds: float | None
    signer: str
    commit: str


@dataclass(frozen=True)
class SitePending:
    """An open promotion. ``steps``: who, and what they do next; ``seats``: role, needed, who filled it.

    ``judged`` is the moment of the newest signed judgement, empty where there is none.
    """

    number: int
    title: str
    url: str
    author: str
    model: str
    environment: str
    judged: str = ""
    version: str = ""
    gates: tuple[SiteGate, ...] = ()
    seats: tuple[tuple[str, int, tuple[str, ...]], ...] = ()
    steps: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class SitePull:
    """An open pull request. ``checks``: context, state and what it says, of its newest commit."""

    number: int
    title: str
    url: str
    author: str
    branch: str
    is_draft: bool
    checks: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class SiteDeployment:
    """A change of a deployment file on main, with the evidence that counts for it. ``id`` names its page.

    ``old`` and ``new`` are champions; ``candidate`` is the canary that this change brought, with its ``share``.
    """

    id: str
    model: str
    environment: str
    commit: str
    time: str
    author: str
    title: str
    move: str
    old: str
    new: str
    candidate: str = ""
    share: float = 0.0
    pull: int | None = None
    gate: str = ""
    approval: str = ""
    approvers: tuple[str, ...] = ()
    overridden: str = ""
    by: str = ""
    recorded: str = ""
    gates: tuple[SiteGate, ...] = ()
    seconds: float | None = None
    served: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What other evidence knows this change by."""
        return self.commit, self.model, self.environment


@dataclass(frozen=True)
class SiteCommit:
    """A commit of main's own line. ``parts`` are the parts of the application that it touches: data, code, …"""

    commit: str
    time: str
    author: str
    title: str
    pull: int | None
    parts: tuple[str, ...]
    models: tuple[str, ...]
    files: int


@dataclass(frozen=True)
class SiteFinding:
    kind: str
    phase: Phase
    subject: str
    message: str
    commit: str


@dataclass(frozen=True)
class SitePolicyState:
    """policy.yaml as one commit left it."""

    commit: str
    time: str
    author: str
    title: str
    changed: tuple[str, ...]


@dataclass(frozen=True)
class SiteFreeze:
    since: str
    until: str
    reason: str
    environments: tuple[str, ...]
    is_on: bool


@dataclass(frozen=True)
class SiteStage:
    """A stage of dvc.yaml as main has it. ``after`` are stages, ``reads`` inputs that no stage makes."""

    name: str
    file: str
    line: int
    after: tuple[str, ...]
    reads: tuple[str, ...]
    gives: tuple[str, ...]
    models: tuple[str, ...]
    makes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SiteFeed:
    """A model that another one is built on; ``is_elsewhere``: of another application or repository."""

    source: str
    is_elsewhere: bool
    model: str
    label: str


@dataclass(frozen=True)
class SiteKpi:
    """A number of the business. ``points``: day and value, as far as somebody gave them."""

    name: str
    description: str
    unit: str
    better: str
    points: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class SiteRole:
    name: str
    people: tuple[str, ...]
    teams: tuple[str, ...]


@dataclass(frozen=True)
class SiteFacts:
    """``home`` is the repository's page on its forge. ``ledger`` and ``looked``: whether there is one to read.

    ``ledger_problem`` says why the evidence cannot be read, ``notes`` what else could not be found out. ``boards``:
    name and address of boards elsewhere. ``causal``: by commit, model and environment of a change.
    """

    application: str
    description: str = ""
    home: str = ""
    folder: str = ""
    commit: str = ""
    time: str = ""
    ledger: str = ""
    ledger_problem: str = ""
    verdict: tuple[Phase, str] | None = None
    models: tuple[SiteModel, ...] = ()
    environments: tuple[SiteEnvironment, ...] = ()
    stages: tuple[SiteStage, ...] = ()
    feeds: tuple[SiteFeed, ...] = ()
    states: tuple[SiteState, ...] = ()
    pending: tuple[SitePending, ...] = ()
    pending_known: bool = False
    pulls: tuple[SitePull, ...] = ()
    deployments: tuple[SiteDeployment, ...] = ()
    commits: tuple[SiteCommit, ...] = ()
    commits_left_out: int = 0
    looks: tuple[SiteLook, ...] = ()
    watched: tuple[tuple[str, str], ...] = ()
    trials: tuple[SiteTrial, ...] = ()
    judged: tuple[SitePending, ...] = ()
    findings: tuple[SiteFinding, ...] = ()
    policies: tuple[SitePolicyState, ...] = ()
    policy_text: str = ""
    roles: tuple[SiteRole, ...] = ()
    freezes: tuple[SiteFreeze, ...] = ()
    kpis: tuple[SiteKpi, ...] = ()
    impacts: tuple[SiteImpact, ...] = ()
    returns: tuple[SiteReturn, ...] = ()
    causal: Mapping[tuple[str, str, str], tuple[SiteCausal, ...]] = field(default_factory=dict)
    retrainings: tuple[SiteRetraining, ...] = ()
    bias: tuple[SiteBias, ...] = ()
    attempts: tuple[SiteAttempt, ...] = ()
    traffic: tuple[VersionDay, ...] = ()
    servers: tuple[ServerDay, ...] = ()
    boards: tuple[tuple[str, str], ...] = ()
    private: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def model(self, name: str) -> SiteModel | None:
        return next((model for model in self.models if model.name == name), None)
