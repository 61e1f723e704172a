"""Where a stream of Flink reads and writes lines: folders, or topics of Kafka. Runs in the environment of Flink.

Both ends keep to checkpoints: a source notes how far it was read, and a sink gives names to its files, or commits its
transactions, once a checkpoint is complete.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from gitml.engines.streamed import StreamJob, StreamTopics
from gitml.errors import UsageError

# Longer than a checkpoint may take, and what brokers allow without being asked: fifteen minutes.
_OPEN_MS = "840000"


def source_of(stream: StreamJob) -> Any:
    """Strings; a message without a value is None."""
    if stream.topics is None:
        return _folder(stream.source)
    return _topic(stream.topics)


def sinks_of(stream: StreamJob) -> tuple[Any, Any]:
    """For answers, and for what was left out."""
    if stream.topics is None:
        return _files(stream.target), _files(stream.rejected)
    return _transactions(stream.topics, stream.topics.target), _transactions(stream.topics, stream.topics.dead)


def _folder(path: str) -> Any:
    from pyflink.common import Duration
    from pyflink.datastream.connectors.file_system import FileSource, StreamFormat

    folder = FileSource.for_record_stream_format(StreamFormat.text_line_format(), path)
    return folder.monitor_continuously(Duration.of_seconds(1)).build()


def _files(folder: str) -> Any:
    """Files of lines in a folder for each hour (UTC), each whole before it has a name."""
    from pyflink.common import Encoder
    from pyflink.datastream.connectors.file_system import BucketAssigner, FileSink, OutputFileConfig, RollingPolicy

    names = OutputFileConfig.builder().with_part_prefix("part").with_part_suffix(".jsonl").build()
    sink = FileSink.for_row_format(folder, Encoder.simple_string_encoder())
    sink = sink.with_bucket_assigner(BucketAssigner.date_time_bucket_assigner("yyyy-MM-dd--HH", "UTC"))
    sink = sink.with_rolling_policy(RollingPolicy.on_checkpoint_rolling_policy())
    return sink.with_output_file_config(names).build()


def _topic(topics: StreamTopics) -> Any:
    from pyflink.datastream.connectors.kafka import KafkaSource
    from pyflink.java_gateway import get_gateway

    builder = KafkaSource.builder().set_bootstrap_servers(topics.servers).set_topics(topics.source)
    builder = builder.set_group_id(topics.group).set_property("isolation.level", "read_committed")
    for name, value in topics.settings:
        builder = builder.set_property(name, value)
    java, kafka = builder._j_builder, get_gateway().jvm.org.apache.flink.connector.kafka.source  # noqa: SLF001 — there is no other way
    # Where a checkpoint says where to go on, that counts.
    resets = _class_of_kafka("clients.consumer.OffsetResetStrategy").getEnumConstants()
    earliest = next(one for one in resets if one.name() == "EARLIEST")
    java.setStartingOffsets(kafka.enumerator.initializer.OffsetsInitializer.committedOffsets(earliest))
    # Flink's own schema for strings fails on a message that has no value, again and again.
    strings = _class_of_kafka("common.serialization.StringDeserializer")
    java.setDeserializer(kafka.reader.deserializer.KafkaRecordDeserializationSchema.valueOnly(strings))
    return builder.build()


def _class_of_kafka(name: str) -> Any:
    """Of Kafka's clients, which ``flink-sql-connector-kafka`` has under names of its own. Raises UsageError."""
    from py4j.protocol import Py4JJavaError
    from pyflink.java_gateway import get_gateway

    jvm = get_gateway().jvm
    loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
    for package in ("org.apache.kafka", "org.apache.flink.kafka.shaded.org.apache.kafka"):
        with suppress(Py4JJavaError):
            return jvm.java.lang.Class.forName(f"{package}.{name}", True, loader)
    raise UsageError(
        "the files of --jars hold no client of Kafka",
        "name flink-connector-kafka and kafka-clients, or flink-sql-connector-kafka alone",
    )


def _transactions(topics: StreamTopics, topic: str) -> Any:
    from pyflink.common.serialization import SimpleStringSchema
    from pyflink.datastream.connectors.base import DeliveryGuarantee
    from pyflink.datastream.connectors.kafka import KafkaRecordSerializationSchema, KafkaSink

    written = KafkaRecordSerializationSchema.builder().set_topic(topic)
    written = written.set_value_serialization_schema(SimpleStringSchema())
    sink = KafkaSink.builder().set_bootstrap_servers(topics.servers).set_record_serializer(written.build())
    sink = sink.set_delivery_guarantee(DeliveryGuarantee.EXACTLY_ONCE)
    sink = sink.set_transactional_id_prefix(f"{topics.group}.{topic}").set_property("transaction.timeout.ms", _OPEN_MS)
    for name, value in topics.settings:
        sink = sink.set_property(name, value)
    return sink.build()
