"""ONNX models, run by onnxruntime on one thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from gitml.errors import IntegrityError, UsageError
from gitml.models.model import OpenedModel
from gitml.models.sharedarrays import Keep
from gitml.models.signature import Signature

_TYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}


def opened(content: bytes, signature: Signature, keep: Keep) -> OpenedModel:
    """Feeds one tensor with all inputs, or one per input by name; takes outputs by name, or the one that is float."""
    try:
        import onnxruntime

        from gitml.models.onnxfile import whole
        from gitml.models.onnxsteadiness import is_steady
        from gitml.models.onnxwords import known_words
    except ImportError as exc:
        raise UsageError("onnx and onnxruntime are not installed", "pip install 'gitml[onnx]'") from exc
    model = whole(content)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Else the runtime looks at the bytes to find out, and some of them come from the model's own words.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    ours = _shared(onnxruntime, options, model, keep)
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # onnxruntime's errors share no base but Exception
        raise IntegrityError(f"the ONNX file cannot be loaded: {exc}", "export the model again") from exc
    feed = _feed(session.get_inputs(), signature)
    names, pick = _outputs(session.get_outputs(), signature)
    words = known_words(model, [f.name for f in signature.inputs if f.type == "string"])
    # The session takes the shared arrays from us, and does not keep them.
    return OpenedModel(partial(_run, session, names, feed, pick, ours), "arrays", is_steady(model), words=words)


def _run(session: Any, names: list[str], feed: Any, pick: Any, _ours: Any, rows: Any) -> Any:
    return pick(session.run(names, feed(rows)))


def _shared(onnxruntime: Any, options: Any, model: bytes, keep: Keep) -> list[Any]:
    """Have the session take the graph's weights from shared arrays, where there are any; these, to be kept.

    Without packing: the runtime would copy them into an order of its own.
    """
    from gitml.models.onnxfile import weights

    given = weights(model)
    kept = dict(zip(given, keep(list(given.values())), strict=True))
    shared = {name: array for name, array in kept.items() if array is not given[name]}
    values = []
    for name, array in shared.items():
        values.append((onnxruntime.OrtValue.ortvalue_from_numpy(array), array))
        options.add_initializer(name, values[-1][0])
    if values:
        options.add_session_config_entry("session.disable_prepacking", "1")
    return values


def _feed(inputs: list[Any], signature: Signature) -> Callable[[Any], dict[str, Any]]:
    unknown = sorted({i.type for i in inputs} - set(_TYPES))
    if unknown:
        raise UsageError(f"the ONNX model takes {unknown[0]}, which gitml cannot feed")
    places = {f.name: place for place, f in enumerate(signature.inputs)}
    words = {f.name for f in signature.inputs if f.type == "string"}
    if len(inputs) == 1 and (len(places) > 1 or inputs[0].name not in places):
        if words or inputs[0].type == "tensor(string)":
            raise UsageError(
                f"the ONNX model takes one tensor, but {', '.join(sorted(words))} are words",
                "export it with one input per column, so that the encoding of words is part of the model",
            )
        name, kind = inputs[0].name, _TYPES[inputs[0].type]
        return lambda rows: {name: rows.astype(kind)}
    if {i.name for i in inputs} != set(places):
        raise UsageError(
            f"the ONNX model takes {', '.join(sorted(i.name for i in inputs))}; "
            f"the signature names {', '.join(sorted(places))}"
        )
    mixed = [i.name for i in inputs if (i.type == "tensor(string)") != (i.name in words)]
    if mixed:
        raise UsageError(
            f"{mixed[0]} is a word on one side and a number on the other, in the ONNX model or the signature"
        )
    flat = {i.name: len(i.shape) == 1 for i in inputs}

    def feed(rows: Any) -> dict[str, Any]:
        texts = signature.decode(rows) if words else {}
        columns = {
            i.name: np.array([t or "" for t in texts[i.name]], object)
            if i.name in words
            else rows[:, places[i.name]].astype(_TYPES[i.type])
            for i in inputs
        }
        return {name: column if flat[name] else column[:, None] for name, column in columns.items()}

    return feed


def _outputs(outputs: list[Any], signature: Signature) -> tuple[list[str], Callable[[list[Any]], Any]]:
    wanted = [o.name for o in signature.outputs]
    if set(wanted) <= {o.name for o in outputs}:
        return wanted, lambda found: np.concatenate([np.reshape(f, (len(f), -1)) for f in found], axis=1)
    floats = [o for o in outputs if o.type in ("tensor(float)", "tensor(double)", "tensor(float16)")]
    if len(floats) != 1:
        raise UsageError(
            f"which output of the ONNX model is {', '.join(wanted)}? It has {', '.join(o.name for o in outputs)}",
            "name the outputs alike; export classifiers with zipmap off",
        )
    return [floats[0].name], lambda found: _shaped(found[0], len(wanted))


def _shaped(found: Any, width: int) -> Any:
    wide = np.reshape(found, (len(found), -1))
    # Both chances of a yes-or-no model: the second is that of yes.
    return wide[:, 1] if width == 1 and wide.shape[1] == 2 else wide
