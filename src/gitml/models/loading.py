"""Models out of files, as data: digest and format are checked before anything interprets a byte.

The file is read once; what is checked is what is loaded, so nobody can swap it in between.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from gitml.errors import IntegrityError, UsageError
from gitml.models import ensemble, onnxmodel, picklemodel, safetensorsmodel, skopsmodel
from gitml.models.formats import check_content
from gitml.models.model import OpenedModel, Predictor
from gitml.models.sharedarrays import Keep, SharedArrays, as_they_are
from gitml.models.signature import Columns, Rows, Signature, parse

LARGEST = 4 << 30
_EXAMPLES = 32


class Opener(Protocol):
    """Makes a scoring function, from encoded rows (rows, inputs) to answers (rows, outputs), out of a file's bytes.

    ``keep``: says where the model's arrays lie.
    """

    def __call__(self, content: bytes, signature: Signature, keep: Keep) -> OpenedModel: ...


OPENERS: dict[str, Opener] = {
    "skops": skopsmodel.opened,
    "safetensors": safetensorsmodel.opened,
    "onnx": onnxmodel.opened,
    "pickle": picklemodel.opened,
}


def load(
    path: Path,
    format: str,  # noqa: A002 - the word of gitml.yaml
    signature: Mapping[str, Any],
    *,
    sha256: str,
    allow_pickle: bool = False,
    members: ensemble.Members | None = None,
    samples: Columns | None = None,
    shared: SharedArrays | None = None,
) -> Predictor:
    """The model in the file at ``path``, warmed up and safe to call from many threads.

    ``format``: skops, safetensors, onnx or pickle; ``signature``: as the version record holds it; ``sha256``: of the
    file, from the record. Raises IntegrityError if the bytes are not those, are of another format, or cut off;
    UsageError if they are sound but cannot be served. A pickle is code: without ``allow_pickle`` no byte of it is
    interpreted, whatever its name. ``members`` loads the versions that an ensemble pins. ``samples``: rows, by
    column, to try it with; without them a row is made from the signature, which not every model can answer.
    ``shared``: where other processes look for the model's arrays.
    """
    if format not in (*OPENERS, "ensemble"):
        known = ", ".join([*OPENERS, "ensemble"])
        raise UsageError(f"{format!r} is no format that can be served", f"the formats are {known}")
    if format == "pickle" and not allow_pickle:
        raise IntegrityError(
            f"{path.name} is a pickle, which runs code when it is loaded",
            "save it as skops, safetensors or ONNX; an exception for pickle belongs into policy.yaml, with an owner "
            "and an end",
        )
    wanted = parse(signature)
    content = read_checked(path, sha256)
    check_content(content, format, path.name)
    try:
        if format == "ensemble":
            found = ensemble.opened(content, wanted, members)
        else:
            found = OPENERS[format](content, wanted, shared.keep(sha256) if shared else as_they_are)
        examples = _examples(wanted, samples)
        made = Predictor(
            wanted.knowing(found.words), format, sha256, found.how, found.score, found.steady, examples, found.inside,
            found.device, found.on_cores,
        )  # fmt: skip
        return warmed(made)
    except (IntegrityError, UsageError) as exc:
        releases = skopsmodel.other_release(content) if format == "skops" and not _is_package_missing(exc) else ""
        if not releases:
            raise
        hint = "serve it with the release that it was trained with, or train it again with the one that serves"
        raise type(exc)(f"{exc.message}; {releases}", hint) from exc


def _is_package_missing(exc: Exception) -> bool:
    return isinstance(exc.__cause__, ImportError)


def read_checked(path: Path, sha256: str) -> bytes:
    """The bytes of a regular file whose SHA-256 is ``sha256``. Raises IntegrityError; follows no symbolic link."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as exc:
        reason = "is a symbolic link" if path.is_symlink() else f"cannot be read: {exc.strerror}"
        raise IntegrityError(f"{path} {reason}", "fetch the artifact again: gitml serves regular files only") from exc
    try:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            raise IntegrityError(f"{path} is no regular file", "a model that is served is one file")
        if found.st_size > LARGEST:
            raise IntegrityError(f"{path} has {found.st_size:,} bytes; models above {LARGEST:,} are not served")
        with os.fdopen(number, "rb", closefd=False) as file:
            content = file.read()
    finally:
        os.close(number)
    digest = hashlib.sha256(content).hexdigest()
    if not hmac.compare_digest(digest, sha256.lower()):
        raise IntegrityError(
            f"{path} has the SHA-256 {digest[:12]}…, the record says {sha256[:12]}…: it is not the model that was "
            "approved, or it is cut off",
            "fetch it again; if it stays so, whoever can write to the store has changed it",
        )
    return content


def _examples(signature: Signature, samples: Columns | None) -> Rows | None:
    """The first sample rows, encoded; None where there are none that have all inputs."""
    names = [f.name for f in signature.inputs]
    if samples is None or any(name not in samples for name in names):
        return None
    rows = signature.columns({name: samples[name][:_EXAMPLES] for name in names})
    return rows if len(rows) else None


def warmed(model: Predictor) -> Predictor:
    """The same model after its first calls; raises UsageError where model and signature do not fit together."""
    try:
        for count in (1, 1, 32, 32):
            model.answers(model.some(count))
    except Exception as exc:
        if model.examples is not None:
            raise UsageError(
                f"the model cannot answer its first sample rows: {exc}",
                "compare signature and samples with what the model was fitted on",
            ) from exc
        raise UsageError(
            f"the model cannot answer a row made from its signature: {exc}",
            "name a file with rows that it can answer under `samples` in gitml.yaml, give the words of a text input as "
            "`categories` in the signature, or compare the signature with what the model was fitted on",
        ) from exc
    return model
