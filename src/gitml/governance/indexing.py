"""The index of a training: who was in the data, written where the data are, once for each file of each version."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gitml.dvc.repository import Dvc
from gitml.errors import UsageError
from gitml.registry.record import Record
from gitml.spec.application import Application

_SAID = 3


def ours_alone(application: Application) -> tuple[str, ...]:
    """Variables that no stage sees."""
    return (application.subjects.key,) if application.subjects else ()


def index_subjects(
    dvc: Dvc, application: Application, records: Sequence[Record], env: Mapping[str, str], say: Callable[[str], None]
) -> None:
    """Index the data of these versions, where gitml.yaml declares people and the key is here.

    A training does not fail for it: what is missing, a later call or the job of main makes up for.
    """
    subjects = application.subjects
    if subjects is None:
        return
    # pyarrow is for those alone who declare people: every training comes by here.
    from gitml.governance.dataversions import SubjectData, data_of
    from gitml.governance.subjectids import key_ring

    try:
        ring = key_ring(subjects, env)
    except UsageError as exc:
        say(f"not indexed: {exc.message}; {exc.hint}")
        return
    if ring is None:
        say(f"{subjects.key} is not set: `gitml subject index`, or the job of main, indexes the people in these data")
        return
    data = SubjectData(dvc, subjects, ring)
    made, problems = data.index(dict.fromkeys(one for record in records for one in data_of(record, subjects)))
    if made:
        say(f"indexed the people in {made} {'file' if made == 1 else 'files'}")
    for problem in problems[:_SAID]:
        say(f"not indexed: {problem}")
