"""Versions and deployments: files in the tree, read fast, resolved by reference."""

from gitml.registry.lineage import lineage_digest
from gitml.registry.record import Metric, Packages, Record, parse_record
from gitml.registry.replaced import replaced
from gitml.registry.resolve import Deployed, deployed, deployment_in, environments, resolve
from gitml.registry.store import (
    Found,
    check_records,
    find,
    pinned,
    read_json,
    read_record,
    record_in,
    record_path,
    versions,
    write_record,
)

__all__ = [
    "Deployed",
    "Found",
    "Metric",
    "Packages",
    "Record",
    "check_records",
    "deployed",
    "deployment_in",
    "environments",
    "find",
    "lineage_digest",
    "parse_record",
    "pinned",
    "read_json",
    "read_record",
    "record_in",
    "record_path",
    "replaced",
    "resolve",
    "versions",
    "write_record",
]
