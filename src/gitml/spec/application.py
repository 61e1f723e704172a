"""gitml.yaml: the application, its models, and what their stages need."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gitml.fields import (
    BranchName,
    Duration,
    FileSection,
    Flag,
    Format,
    GitmlSource,
    Label,
    MetricName,
    Name,
    Names,
    Python,
    RepoPath,
    SecretName,
    Text,
    Until,
    WebAddress,
    WrongValueError,
)
from gitml.spec.batchrun import RunSpec
from gitml.spec.bias import Bias
from gitml.spec.card import Card
from gitml.spec.holdout import HoldOut
from gitml.spec.kpis import Costs, Kpi
from gitml.spec.monitors import Monitors
from gitml.spec.retrain import RetrainSpec
from gitml.spec.scoring import ScheduledScoring
from gitml.spec.subjects import Subjects
from gitml.spec.traffic import Traffic
from gitml.spec.upstream import Needs

Direction = Literal["higher", "lower"]

# The one table from an artifact's suffix to how it is stored.
SUFFIXES: Mapping[str, Format] = {
    ".skops": "skops",
    ".safetensors": "safetensors",
    ".onnx": "onnx",
    ".pkl": "pickle",
    ".pickle": "pickle",
    ".joblib": "pickle",
}
Labels = Annotated[tuple[Label, ...], Field(min_length=1)]


def stored_as(path: str) -> Format | None:
    """The format that the suffix of an artifact says, None if it says none.

    >>> stored_as("artifacts/model.SKOPS")
    'skops'
    """
    return SUFFIXES.get(PurePosixPath(path).suffix.lower())


def format_of(models: Mapping[str, Model], name: str, artifact: str) -> Format | None:
    """How a version of the model ``name`` stores its ``artifact``: as gitml.yaml says, else as its suffix says.

    None where neither says it. A version keeps its own path: gitml.yaml may name another one since.
    """
    model = models.get(name)
    return model.artifact_format if model and model.artifact == artifact else stored_as(artifact)


class Model(FileSection):
    """One model: where its stages leave it, and what describes it."""

    description: str = Field("", description="One line for people: what it is and does.")
    owner: Text | None = Field(None, description="Who answers for it: a person, or a team.")
    purpose: Text | None = Field(None, description="What decision it serves, in plain words.")
    tier: Literal["high", "medium", "low"] | None = Field(None, description="How much harm a wrong answer can do.")
    review: Duration | None = Field(
        None, description="How long after its last approval it is to be reviewed, such as 26w."
    )
    vendor: Text | None = Field(None, description="Who made it, where it was bought or comes from elsewhere.")
    retire_by: Until | None = Field(
        None, description="The day by which it is to be out of use: `gitml retire` ends it."
    )
    card: Card | None = Field(None, description="What only people know of it, for its card.")
    reasons: RepoPath | None = Field(
        None,
        description="YAML with the words in which `gitml explain` tells people what raised or lowered an answer.",
    )
    origin: Literal["pipeline", "external"] = Field(
        "pipeline",
        description="`external`: bought or trained elsewhere, enters with `gitml register`, has no stages.",
    )
    packages: RepoPath | None = Field(
        None, description="The locked packages its stages run with; each of its stages depends on this file."
    )
    artifact: RepoPath = Field(description="The model itself, a file or a folder that a stage produces.")
    format: Format | None = Field(
        None,
        description="How the artifact is stored, where its suffix does not say it; `ensemble`: YAML that pins others.",
    )
    metrics: RepoPath = Field(
        description="JSON: each metric and its value, on data the model did not see; `refits`: that of other seeds."
    )
    replicates: RepoPath | None = Field(
        None, description="JSON: each metric's bootstrap replicates, paired across versions by seed."
    )
    signature: RepoPath | None = Field(
        None,
        description="JSON: names and types of inputs and outputs; `data_until`: when the newest training data is from.",
    )
    slices: RepoPath | None = Field(None, description="JSON: metrics by group, for the gates `slices` and `fairness`.")
    charts: RepoPath | None = Field(None, description="Folder of charts (Vega-Lite) that reports show.")
    samples: RepoPath | None = Field(
        None, description="Parquet: some rows with their predictions, for health checks and reproductions."
    )
    reference: RepoPath | None = Field(
        None,
        description="JSON that `gitml reference` writes: how the rows of the training window and of the evaluation are "
        "distributed; `gitml monitor` holds live traffic against it.",
    )
    reference_rows: RepoPath | None = Field(
        None,
        description="Parquet that `gitml reference` writes beside it: up to 20,000 rows of the training window, for "
        "detectors that need rows. An output of DVC, because rows of people do not belong into Git.",
    )
    outliers: RepoPath | None = Field(
        None,
        description="What `gitml outliers` fits on the training rows, as arrays (safetensors): `gitml monitor` counts "
        "live rows that are unlike any of them.",
    )
    evaluated: RepoPath | None = Field(
        None,
        description="Parquet that `gitml reference --label` writes: up to 20,000 evaluated rows with answers and "
        "labels, from which performance is estimated while labels have not come. An output of DVC, as the one before.",
    )
    importance: RepoPath | None = Field(
        None,
        description="JSON that `gitml importance` writes: how much each input matters on the held-out rows, and what "
        "the model answers as the most important ones change. Reports show what changed since the version before.",
    )
    holdout: HoldOut | None = Field(
        None,
        description="The rows that it is judged on, so that a new version and the one that runs can be compared on the "
        "same ones, also where their windows differ.",
    )
    better: Mapping[MetricName, Direction] = Field(
        default_factory=dict,
        description="Which way each metric is better; the first is the one that lists show.",
    )
    needs: Needs = Field(
        default_factory=dict,
        description="The models that it is built on, by name: `answers`, `features`, or more of it.",
    )
    run: RunSpec = Field(default_factory=RunSpec, description="What it runs on: the engine of its batches.")

    @model_validator(mode="after")
    def _has_format(self) -> Self:
        known = stored_as(self.artifact)
        if self.format is None and known is None:
            raise WrongValueError(
                f"the suffix of {self.artifact!r} does not say how it is stored",
                "end it with .skops, .safetensors or .onnx, or add a line such as 'format: onnx'",
            )
        if self.format and known and self.format != known:
            raise WrongValueError(f"{self.artifact!r} is named like {known}, but format says {self.format}")
        return self

    @model_validator(mode="after")
    def _cost_is_better_lower(self) -> Self:
        cost = self.holdout.cost if self.holdout else None
        if cost and self.better.get(cost.metric, "lower") != "lower":
            raise WrongValueError(f"{cost.metric} is a cost, and `better` says higher", "write: lower")
        return self

    @property
    def artifact_format(self) -> Format:
        """How the artifact is stored: what ``format`` says, or else its suffix."""
        return self.format or SUFFIXES[PurePosixPath(self.artifact).suffix.lower()]

    @property
    def outputs(self) -> dict[str, str]:
        """The paths that its stages produce, by the name of their key."""
        keys = ("artifact", "metrics", "replicates", "signature", "slices", "charts", "samples")
        watched = ("reference", "reference_rows", "evaluated", "outliers", "importance")
        return {key: path for key in (*keys, *watched) if (path := getattr(self, key)) is not None}


class StageNeeds(FileSection):
    """What one stage needs other than the default."""

    hardware: Name | None = Field(
        None, description="One of the names under `hardware`; the first there is the default."
    )
    timeout: Duration | None = Field(None, description="Stop the stage after this time, such as 30m.")


class Train(FileSection):
    """What training in CI leaves in the repository."""

    commit: Literal["ready", "push", "label"] = Field(
        "ready",
        description="When the bot commits dvc.lock and the version record to the branch: once the pull request is "
        "ready for review, at every push, or when it has the label `gitml:commit`. It reports at every push.",
    )


class Ci(FileSection):
    """How the jobs of CI are set up; `gitml ci render` writes their workflows."""

    system: Names = Field(
        ("github",),
        description="The CI system whose files are rendered: github, jenkins, airflow; or a list of them. The first "
        "one trains branches.",
    )
    python: Python = Field("3.12", description="Version of Python that stages run with, in quotes.")
    gitml: GitmlSource | None = Field(
        None, description="What pip installs gitml from; by default the version that rendered the workflows."
    )
    oidc: Literal["aws", "google"] | None = Field(
        None, description="Sign in where DVC's remote is with the job's own identity, so that no key is stored."
    )
    secrets: tuple[SecretName, ...] = Field(
        (), description="Secrets of the forge that jobs see as environment variables, such as keys of DVC's remote."
    )
    app: Flag = Field(
        False,
        description="The bot acts as a GitHub app: variable `GITML_APP_CLIENT_ID` and secret `GITML_APP_PRIVATE_KEY`.",
    )
    branch: BranchName = Field("main", description="The default branch: the one that machines converge to.")
    forks: Flag = Field(True, description="Train and report on pull requests from forks: hosted runners, no secrets.")


class Sites(FileSection):
    """Where the sites of roles go: each to a place that only this role can read."""

    publish: Mapping[Name, Text] = Field(
        default_factory=dict,
        description="By role, a shell command that brings the folder `$SITE` to its place, such as "
        '`aws s3 sync --delete "$SITE" s3://acme-risk`; a role without one has the artifact of the run alone.',
    )
    boards: Mapping[Text, WebAddress] = Field(
        default_factory=dict,
        description="Boards elsewhere that the page `operations` links to, by name, such as the one of Grafana.",
    )
    secrets: tuple[SecretName, ...] = Field(
        (),
        description="Secrets that these commands see as environment variables, of the forge's Environment "
        "`gitml-site-ROLE`.",
    )


class Application(FileSection):
    """The whole of gitml.yaml."""

    application: Name = Field(description="Name of the application.")
    description: str = Field("", description="What question it answers, in one line.")
    models: Mapping[Name, Model] = Field(min_length=1, description="Its models, by name.")
    hardware: Mapping[Name, Labels] = Field(
        default_factory=lambda: {"cpu": ("ubuntu-latest",)},
        min_length=1,
        description="Labels of the CI runners, by a name of yours; the first is the default.",
    )
    stages: Mapping[Text, StageNeeds] = Field(
        default_factory=dict, description="Stages of dvc.yaml that need something else than the default."
    )
    private: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = Field(
        (),
        description="Columns of which records, reports and the traffic tell no values, such as a person's name.",
    )
    traffic: Traffic | None = Field(
        None, description="Where requests, labels and business events are kept; without it, where `--log` says."
    )
    monitors: Monitors = Field(
        default_factory=Monitors, description="What is watched while models serve, and how often an alarm may be false."
    )
    kpis: Mapping[Name, Kpi] = Field(
        default_factory=dict,
        description="Numbers of the business by unit and by day, which candidates may be judged on.",
    )
    sites: Sites = Field(default_factory=Sites, description="Where the sites of roles go.")
    retrain: Mapping[Name, RetrainSpec] = Field(
        default_factory=dict, description="When models are trained again by themselves, by name."
    )
    scoring: Mapping[Name, ScheduledScoring] = Field(
        default_factory=dict, description="Data sets that models score on a schedule, by model."
    )
    bias: Mapping[Name, Bias] = Field(
        default_factory=dict, description="Models whose answers are counted by sex, race and ethnicity, by name."
    )
    subjects: Subjects | None = Field(
        None, description="Columns that say whom a row is about, so that one person can be found and erased."
    )
    costs: Costs | None = Field(None, description="Prices, for what a change of a model brought and took.")
    train: Train = Field(default_factory=Train, description="What training in CI leaves in the repository.")
    publisher: Literal["auto", "gitml", "cml"] = Field(
        "auto",
        description="Who posts reports; `auto`: CML where it is there and can keep the promises, else gitml.",
    )
    ci: Ci = Field(default_factory=Ci, description="How the jobs of CI are set up.")

    @model_validator(mode="after")
    def _keeps_the_key_of_ids(self) -> Self:
        if self.subjects and self.subjects.key in self.ci.secrets:
            raise WrongValueError(
                f"{self.subjects.key} must not stand under ci.secrets, which jobs of branches see",
                "whoever has it can tell who is in an index: store it in the Environment gitml-subjects alone",
            )
        return self

    def export_folder(self, model: str) -> str:
        """Where the partitions of a model whose traffic is exported lie. Raises KeyError for another one."""
        spec = self.traffic.export[model] if self.traffic else None
        return (spec.to if spec else None) or f"data/traffic/{model}"

    def hardware_of(self, stage: str) -> str:
        """The name under ``hardware`` that ``stage`` runs on."""
        needs = self.stages.get(stage)
        return needs.hardware if needs and needs.hardware else next(iter(self.hardware))
