"""The other side of ``apart``: loads one model where nothing else can be reached, and answers rows."""

from __future__ import annotations

import os
from pathlib import Path

from gitml.confined import limit, offline
from gitml.errors import GitmlError
from gitml.landlock import close_in
from gitml.models import frames
from gitml.models.libraries import prepare
from gitml.models.loading import load
from gitml.models.model import ModelError
from gitml.models.quarantineorder import QuarantineOrder
from gitml.process import needed_by_python

_LARGEST = 4 << 30


def main() -> None:
    """One order, then rows until there are no more."""
    orders, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    order = QuarantineOrder.model_validate_json(orders.readline())
    prepare(order.format, samples=False)
    offline()
    limit(order.memory, order.seconds)
    close_in([*needed_by_python(), order.path], [], connects=False)
    try:
        model = load(
            Path(order.path), order.format, order.signature, sha256=order.sha256, allow_pickle=order.allow_pickle
        )
    except GitmlError as exc:
        answers.write(f"{exc.message.splitlines()[0]}\n".encode())
        return
    answers.write(f"{model.how}\n".encode())
    answers.flush()
    while (rows := frames.receive(orders, _LARGEST)) is not None and not isinstance(rows, str):
        try:
            frames.send(answers, model.answers(rows))
        except ModelError as exc:
            frames.send_error(answers, exc.message)
