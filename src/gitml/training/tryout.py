"""A model that was just trained, loaded as servers load it: what main would refuse is said before it is committed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitml.errors import FailedError, GitmlError, IntegrityError, UsageError
from gitml.registry.record import Record
from gitml.spec import Application
from gitml.spec.application import format_of
from gitml.spec.deployment import Pin

_DATA = ("skops", "safetensors", "onnx")


@dataclass(frozen=True)
class WorkTreeShelf:
    """The files of a version as they lie here. ``only`` is the one record that there is."""

    root: Path
    only: Record

    def record(self, model: str, pin: Pin) -> Record:
        raise FailedError(f"{model} {pin.version} is not tried here")

    def files(self, record: Record, names: Sequence[str]) -> Mapping[str, Path]:
        return {name: self.root / name for name in names}


def unusable(root: Path, application: Application, record: Record) -> str:
    """Why a server would refuse the artifact that lies in the work tree, or "".

    Also "" where that cannot be told here: without a signature, or without the packages that load it. Main's own job
    tries it again, with what servers have.
    """
    if record.signature is None:
        return ""
    # Numbers and formats take longer to import than all of the rest of a job: not for jobs that train nothing.
    from gitml.models.quarantine import Quarantine
    from gitml.registry.load import Loader

    try:
        with Quarantine() as quarantine:
            Loader(WorkTreeShelf(root, record), application.models, quarantine=quarantine).checked(record)
    except (IntegrityError, FailedError) as exc:
        return exc.message.splitlines()[0][:500]
    except UsageError as exc:
        # Policy may let pickles in, and what is missing here servers may have.
        is_told = not isinstance(exc.__cause__, ImportError)
        kind = format_of(application.models, record.model, record.artifact)
        return exc.message.splitlines()[0][:500] if is_told and kind in _DATA else ""
    except (GitmlError, ImportError):
        return ""
    return ""
