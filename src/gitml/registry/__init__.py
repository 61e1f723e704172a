"""Versions and deployments: files in the tree, read fast, resolved by reference."""

from gitml.registry.lineage import lineage_digest
from gitml.registry.record import Metric, Packages, Record, parse_record
from gitml.registry.resolve import Deployed, deployed, resolve
from gitml.registry.store import Found, check_records, find, read_json, read_record, write_record

__all__ = [
    "Deployed",
    "Found",
    "Metric",
    "Packages",
    "Record",
    "check_records",
    "deployed",
    "find",
    "lineage_digest",
    "parse_record",
    "read_json",
    "read_record",
    "resolve",
    "write_record",
]
