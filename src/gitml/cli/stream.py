"""``gitml stream``"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gitml.cli.common import examples, root_of
from gitml.cli.extras import require
from gitml.output import note, show

if TYPE_CHECKING:
    from gitml.engines.streamed import StreamTopics


def _seconds(_ctx: click.Context, _param: click.Parameter, value: str) -> float:
    from gitml.fields import parse_latency

    try:
        return parse_latency(value) / 1000
    except ValueError as exc:
        raise click.BadParameter(str(exc)) from exc


def _bound(ctx: click.Context, param: click.Parameter, value: str) -> float:
    return _seconds(ctx, param, value) if value else 0.0


@click.command(
    epilog=examples(
        "gitml stream delay@production --from kafka://broker:9092/flights --to kafka://broker:9092/delays",
        "gitml stream delay@production --from … --to … --log predictions/ --labels kafka://broker:9092/arrived",
        "gitml stream delay@production --from … --to … --p99 100ms --metrics 9108",
        "gitml stream delay@production --from folder:/data/flights --to folder:/data/delays --key tailnum",
        "gitml stream delay@production --from folder:/shared/in --to folder:/shared/out --engine spark --master …",
        "gitml stream delay@production --from folder:/shared/lines --to folder:/shared/out --engine flink",
        "gitml stream delay@production --from kafka://… --to kafka://… --engine flink --jars … --checkpoints /shared/c",
    )
)
@click.argument("reference", metavar="MODEL[@VERSION|@ENVIRONMENT]")
@click.option("--from", "source", required=True, metavar="URL", help="Topic kafka://HOST:PORT/TOPIC, or folder:PATH.")
@click.option("--to", "target", required=True, metavar="URL", help="Topic of the same cluster, or folder.")
@click.option("--engine", type=click.Choice(["spark", "flink"]), help="Whose own streaming answers a folder.")
@click.option("--master", default="", metavar="URL", help="Of the engine's cluster. Default: this machine.")
@click.option("--labels", default="", metavar="URL", help="Topic of labels, which are kept with --log.")
@click.option("--key", default="", metavar="COLUMN", help="Of a folder's files: the unit.")
@click.option("--id", "request_id", default="", metavar="COLUMN", help="Of a folder's files: the request id.")
@click.option("--dead", default="", metavar="TOPIC", help="Topic of dead letters. Default: that of answers with .dead.")
@click.option("--group", default="", help="Group of consumers. Default: gitml-MODEL-ENVIRONMENT.")
@click.option("--batch", type=click.IntRange(1, 100_000), default=500, show_default=True, help="Messages of a call.")
@click.option(
    "--wait", default="20ms", show_default=True, callback=_seconds, metavar="TIME", help="For more of them, at most."
)
@click.option(
    "--p99",
    default="",
    callback=_bound,
    metavar="TIME",
    help="Within which 99 % of messages shall be answered, from their own time on: measured, and told when it is not.",
)
@click.option("--log", default="", metavar="URL", help="Keep requests and answers as traffic: a folder or its URL.")
@click.option(
    "--metrics", type=click.IntRange(0, 65535), default=0, metavar="PORT", help="Of 127.0.0.1, for Prometheus."
)
@click.option(
    "--kafka",
    "settings",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of Kafka's settings, name=value: certificates and passwords. In the words of librdkafka; of Kafka's own "
    "clients with --engine.",
)
@click.option("--jars", default="", metavar="FILE,…", help="The engine's connector for Kafka, with what it needs.")
@click.option(
    "--checkpoints",
    default="",
    metavar="PATH",
    help="Folder where an engine that answers topics notes how far it came.",
)
@click.option(
    "--every", type=click.FloatRange(0.1, 3600), default=5.0, show_default=True, help="Seconds between looks at main."
)
@click.pass_context
def stream(ctx: click.Context, /, reference: str, *, settings: Path | None, **options: Any) -> None:
    """Answer the messages of a topic, each exactly once for readers of committed messages; or the files of a folder
    that grows.

    A message is what /predict takes, or one row alone as an object; or a stream of Arrow, if its header content-type
    says so. Its key is the unit, which decides between champion and canary as for REST. Answers have the key of their
    message, and headers with request id, position, model, version and digest. What cannot be answered goes to the dead
    letters, with the reason. Where MODEL@ENVIRONMENT is named, its file is read again at times: what changed is loaded
    beside, and swapped between two batches.
    """
    require("serve")
    require("stream")
    from gitml.models.cores import one_core_each

    one_core_each()
    from gitml.inference.stream import StreamCall, settings_of
    from gitml.inference.stream import stream as run
    from gitml.streaming.run import StreamBounds

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def ready(champion: str) -> None:
        show(f"{champion} answers {options['source']}")
        sys.stdout.flush()

    if options["engine"]:
        _by_engine(root_of(ctx), reference, {**options, "settings": settings}, stop, ready)
        return
    if options["jars"] or options["checkpoints"]:
        raise click.UsageError("--jars and --checkpoints are for --engine")
    call = StreamCall(
        options["source"],
        options["target"],
        options["labels"],
        options["key"],
        options["request_id"],
        options["dead"],
        options["group"],
        tuple(settings_of(settings.read_text()).items()) if settings else (),
        StreamBounds(options["batch"], options["wait"], options["p99"]),
        options["log"],
        options["metrics"],
        options["every"],
        note,
    )
    run(root_of(ctx), reference, call, stop, ready)
    note("ended: what was received is answered")


# What an engine's stream has not: it knows neither units nor traffic.
_OURS = ("labels", "key", "request_id", "log", "metrics", "p99")


def _by_engine(
    root: Path, reference: str, options: Mapping[str, Any], stop: threading.Event, ready: Callable[[str], None]
) -> None:
    from gitml.errors import UsageError
    from gitml.inference.scoreengine import EngineWish
    from gitml.inference.stream import FOLDER
    from gitml.inference.streamengine import EngineStreamCall, engine_stream

    if any(options[name] for name in _OURS):
        raise UsageError("--engine goes without labels, keys, ids, logs, metrics and --p99", "leave them out")
    folders = [options[name].startswith(FOLDER) for name in ("source", "target")]
    if any(folders) and not all(folders):
        raise UsageError("an engine goes from folder to folder, or from topic to topic", "see --from and --to")
    if all(folders) and any(options[name] for name in ("dead", "group", "settings", "jars", "checkpoints")):
        raise UsageError("--dead, --group, --kafka, --jars and --checkpoints are for topics", "leave them out")
    topics = None if all(folders) else _topics(reference, options)
    target = options["target"].removeprefix(FOLDER) if all(folders) else options["checkpoints"]
    wish = EngineWish(options["engine"], master=options["master"])
    call = EngineStreamCall(options["source"].removeprefix(FOLDER), target, wish, options["every"], note, topics)
    engine_stream(root, reference, call, stop, ready)
    note("ended: what was not answered is answered when it is called again")


def _topics(reference: str, options: Mapping[str, Any]) -> StreamTopics:
    from gitml.engines.streamed import StreamTopics
    from gitml.errors import UsageError
    from gitml.inference.stream import settings_of
    from gitml.streaming.kafka import kafka_place

    source, target = kafka_place(options["source"]), kafka_place(options["target"])
    if source.servers != target.servers:
        raise UsageError("one engine's stream reads and writes one cluster here", "name topics of one cluster")
    if not options["checkpoints"]:
        raise UsageError("an engine notes how far it came in a folder", "name one with --checkpoints PATH")
    text = options["settings"].read_text() if options["settings"] else ""
    group = options["group"] or "gitml-" + reference.replace("@", "-")
    return StreamTopics(
        source.servers,
        source.topic,
        target.topic,
        options["dead"] or f"{target.topic}.dead",
        group,
        (*source.settings, *target.settings, *settings_of(text).items()),
        tuple(jar for jar in options["jars"].split(",") if jar),
    )
