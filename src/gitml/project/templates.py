"""What ``gitml init`` writes: one copy in the source tree, which the wheel carries below ``gitml/_templates``.

An example is a mapping of places, so that two of them can share files: the ensemble has the members' scripts from the
reference application.
"""

from __future__ import annotations

from pathlib import Path

from gitml.errors import OutsideError, UsageError
from gitml.files import shipped
from gitml.spec.leftovers import PATTERNS

_SHARED = (
    "boosting.py",
    "charts.py",
    "evaluate.py",
    "evaluation.py",
    "files.py",
    "flights.py",
    "ingest.py",
    "prepare.py",
    "requirements.in",
    "requirements.lock",
    "scoring.py",
    "train.py",
    "training.py",
)
_CLUSTER = ("files.py", "ingest.py", "requirements.in", "requirements-torch.in", "requirements-torch.lock")
# Name → place in the applications written → place in the source tree, whose folders pyproject.toml puts into the wheel.
TEMPLATES = {
    "starter": {"": "examples/starter", "schemas": "schemas"},
    "flight-delay": {
        "gitml.yaml": "gitml.yaml",
        "policy.yaml": "policy.yaml",
        "dvc.yaml": "dvc.yaml",
        "params.yaml": "params.yaml",
        "pipelines": "pipelines",
        "schemas": "schemas",
    },
    "flight-ensemble": {
        "": "examples/flight-ensemble",
        **{f"pipelines/{name}": f"pipelines/{name}" for name in _SHARED},
        "schemas": "schemas",
    },
    "flights-daily": {
        "": "examples/flights-daily",
        **{f"pipelines/requirements.{end}": f"pipelines/requirements.{end}" for end in ("in", "lock")},
        "schemas": "schemas",
    },
    "flights-cluster": {
        "": "examples/flights-cluster",
        **{f"pipelines/{name}": f"pipelines/{name}" for name in _CLUSTER},
        "schemas": "schemas",
    },
    "disease-progression": {
        "": "examples/disease-progression",
        **{f"pipelines/requirements.{end}": f"examples/starter/pipelines/requirements.{end}" for end in ("in", "lock")},
        "schemas": "schemas",
    },
    "wine-cultivars": {
        "": "examples/wine-cultivars",
        **{f"pipelines/requirements.{end}": f"examples/starter/pipelines/requirements.{end}" for end in ("in", "lock")},
        "schemas": "schemas",
    },
}
EXAMPLES = tuple(name for name in TEMPLATES if name != "starter")
# What trains it for the first time, where that is more than one command.
_TRAINING = {
    "flight-ensemble": ("gitml train delay linear", "python pipelines/pin.py delay linear", "gitml train blend"),
}
# What comes before even `gitml check`: rows that no stage makes.
_ARRIVING = {"flights-daily": ("python pipelines/arrive.py 2013-02-28", "dvc add data/arrivals")}
# What `dvc init` writes, with its usage statistics turned off.
_DVC = {
    ".dvc/config": b"[core]\n    analytics = false\n    autostage = false\n",
    ".dvc/.gitignore": b"/config.local\n/tmp\n/cache\n",
    # Text has one form in Git and in every work tree: with another one its digest, and so the version, would change.
    ".gitattributes": b"""\
* text=auto eol=lf
# For programs: a thousand lines in each diff.
**/replicates.json -diff linguist-generated
""",
}
# Lines that these files get where they lack them.
IGNORED = {
    ".dvcignore": PATTERNS,
    ".gitignore": ("__pycache__/", ".venv/", ".gitml-ci/"),
}


def template(name: str) -> dict[str, bytes]:
    """Path → content of every file of the template."""
    if name not in TEMPLATES:
        raise UsageError(f"there is no example {name}", f"examples: {', '.join(EXAMPLES)}")
    places = TEMPLATES[name].items()
    files = {path: file.read_bytes() for place, source in places for path, file in _files(place, shipped(source))}
    if "gitml.yaml" not in files:
        raise OutsideError("this installation of gitml came without its templates", "install it again")
    return {**_DVC, **files}


def training(name: str | None) -> tuple[str, ...]:
    """The commands that train the application for the first time."""
    return _TRAINING.get(name or "", ("gitml train",))


def arriving(name: str | None) -> tuple[str, ...]:
    """The commands that bring the data which its stages read and none of them makes."""
    return _ARRIVING.get(name or "", ())


def _files(place: str, source: Path) -> list[tuple[str, Path]]:
    if source.is_file():
        return [(place, source)]
    found = sorted(p for p in source.rglob("*") if p.is_file() and "__pycache__" not in p.parts and p.suffix != ".pyc")
    return [((Path(place) / file.relative_to(source)).as_posix(), file) for file in found]
