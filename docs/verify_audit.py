"""Verify what `gitml audit export` wrote, without gitml, Git or a network, by the standard library and `cryptography`.

Of each event or look: Git's name of its bytes, the digest in its name, envelope, ed25519 signature, its key's purpose
and dates. Each row of changes.jsonl must rest on signed events that say the same of the same file and contents, and the
CSV files must say what the JSON Lines say. Give with --key the fingerprints that you have from the organisation on
another way: without them, whoever made the folder could have made the keys as well. Not verified here: the history of
main (compare the commit with the repository's), index.html, and that keys.json says of a key what policy.yaml says.

Exit codes: 0 all of it holds and the audit found nothing, 1 something was tampered with or the audit failed, 2 this is
not a whole export, 3 it holds, but not everything could be settled.
"""

import argparse
import base64
import csv
import hashlib
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

KIND = "application/vnd.in-toto+json"
NAME = re.compile(r"(\d{4})/(\d\d)/(\1\2\d\dT\d{6}Z)-([a-z][a-z-]{0,30})-([0-9a-f]{12})\.json")
OWN = {"event", "commit", "believed", "reason", "signer"}
FILE = ("path", "old", "new")
STEPS = {"gate": ("gate",), "approved": ("approved",), "placed": ("promoted", "rolled-back")}
FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def once(pairs):
    """Refuse a key that stands twice: two readers could take different ones."""
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


load = json.JSONDecoder(object_pairs_hook=once).decode


def proven(name, blob, contents, keys, repository):
    """What an event that counts is about, and the key that signed it. Raises ValueError, or InvalidSignature."""
    raw, found = contents.get(blob, b""), NAME.fullmatch(name)
    git = hashlib.sha1 if len(blob) == 40 else hashlib.sha256
    is_blob = git(b"blob %d\0" % len(raw) + raw).hexdigest() == blob
    if not found or not is_blob or not hashlib.sha256(raw).hexdigest().startswith(found[5]):
        raise ValueError("its content is not what its name, or Git's name of it, says")
    envelope = load(raw.decode())
    payload, (signature,) = base64.b64decode(envelope["payload"], validate=True), envelope["signatures"]
    statement = load(payload.decode())
    about = statement["predicate"].get("gitml_binding") or statement["predicate"]["gitml"]
    canonical = json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    if raw != json.dumps(envelope, separators=(",", ":")).encode() + b"\n" or canonical != payload:
        raise ValueError("it is not in the one form of the ledger")
    if [found[3], found[4], KIND] != [re.sub("[-:]", "", about["time"]), about["kind"], envelope["payloadType"]]:
        raise ValueError("its name says another time or kind")
    if signature["keyid"] not in keys:
        raise ValueError("it is signed by a key that the newest policy does not name")
    key, signed = keys[signature["keyid"]], b"DSSEv1 %d %s %d %s" % (len(KIND), KIND.encode(), len(payload), payload)
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key["public"].split()[1])[-32:])
    public.verify(base64.b64decode(signature["sig"], validate=True), signed)
    if about["kind"] not in key["purposes"] or about["repository"].lower() != repository.lower():
        raise ValueError("it is of a kind that its key may not sign, or about another repository")
    times = (about["time"], key["from"], key["until"] or "9999-01-01T00:00:00Z")
    then, since, until = map(datetime.fromisoformat, times)
    if not since <= then < until or then > datetime.now(UTC) + timedelta(minutes=2):
        raise ValueError(f"it is dated {about['time']}, when its key does not count")
    approvers = statement["predicate"].get("gitml_details", {}).get("approvers", [])
    return {**about, "keyid": signature["keyid"], "approvers": approvers}


def keys_of(told, facts):
    """The keys of the newest policy by fingerprint. Raises ValueError where the policies are not those of the facts."""
    policies = facts["policies"]
    for state, row in zip(policies, told["policies"], strict=True):
        is_same = hashlib.sha256(state["content"].encode()).hexdigest() == row["sha256"]
        if not is_same or any(key["public"].split()[1] not in state["content"] for key in row["keys"]):
            raise ValueError("keys.json names other policies than facts.json has, or keys that these do not have")
    newest = told["policies"][-1]["keys"] if policies else []
    digests = [hashlib.sha256(base64.b64decode(key["public"].split()[1])).digest() for key in newest]
    return {"SHA256:" + base64.b64encode(d).decode().rstrip("="): key for d, key in zip(digests, newest, strict=True)}


def events(table, rows, entries, facts, keys):
    """Each event against its row; yields what is wrong. ``facts["verified"]`` gets the bindings of those that count."""
    contents = {blob: base64.b64decode(text, validate=True) for blob, text in facts["contents"].items()}
    blobs, verified = dict(entries), facts.setdefault("verified", {})
    if sorted(name for name, _ in entries) != sorted(row["event"] for row in rows):
        yield f"{table}.jsonl: does not have exactly the {table} of facts.json"
    for row in (row for row in rows if row["believed"]):
        name = row["event"]
        try:
            about = verified[name] = proven(name, blobs[name], contents, keys, facts["repository"])
        except (InvalidSignature, ValueError, KeyError, TypeError, AttributeError) as exc:
            yield f"{name}: does not count as {table}.jsonl says: {str(exc) or 'its signature is not of its key'}"
        else:
            wrong = [n for n in row.keys() - OWN if (row[n] or "") != (about.get(n) or "")]
            wrong += ["signer"] * (row["signer"] != keys[about["keyid"]]["name"])
            yield from (f"{name}: {table}.jsonl says another {n} than was signed" for n in wrong)


def changes(rows, facts):
    """Each change against the signed events that it names; yields what is wrong."""
    for row in rows:
        at, found = f"{row['path']} at {row['commit'][:12]}", [facts["verified"].get(n, {}) for n in row["events"]]
        if any([(about.get("change") or {}).get(name) for name in FILE] != [row[n] for n in FILE] for about in found):
            yield f"{at}: names evidence that does not count for this change"
        told = {name: [about for about in found if about.get("kind") in kinds] for name, kinds in STEPS.items()}
        last = told["placed"] or told["approved"] or told["gate"]
        said = [(told["gate"], "gate", "result"), (told["approved"], "approval", "result")]
        said += [(told["approved"], "approvers", "approvers")] if told["approved"] or row["approvers"] else []
        said += [(told["placed"], "placed", "kind"), *((last, name, name) for name in ("version", "pull", "by"))]
        for signed, column, name in said:
            if (row[column] or name == "approvers") and row[column] not in [about[name] for about in signed]:
                yield f"{at}: its evidence does not say {column} {row[column]}"
        if row["phase"] == "successful" and not all("passed" in [a["result"] for a in told[step]] for step in STEPS):
            yield f"{at}: its evidence is not whole"


def unlisted(rows, facts):
    """Deployments that main changed and changes.jsonl does not have. A merge of several commits ends in one row."""
    place, start = facts["order"], facts["order"].get(facts["since"], -1)
    deployment = re.compile(re.escape(facts["prefix"]) + r"models/[^/]+/[^/]+\.yaml")
    listed, missing = {(row["path"], row["commit"], row["new"]) for row in rows}, {}
    for landed in sorted(facts["changes"], key=lambda one: place[one["commit"]]):
        for touch in landed["touches"] if place[landed["commit"]] > start else ():
            if deployment.fullmatch(touch["path"]):
                key = (touch["path"], landed["commit"], touch["new"])
                missing[touch["path"]] = "" if key in listed else landed["commit"]
    return [f"{path}: changes.jsonl does not tell of its change at {at[:12]}" for path, at in missing.items() if at]


def tables(folder, rows, verdict, facts):
    """The CSV files say what the JSON Lines say, the verdict follows from them, and they tell what broke the ledger."""
    for name, table in rows.items():
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
            columns, *cells = csv.reader(stream)
        if cells != [[cell(row[c]) for c in columns] for row in table] or any(set(r) != set(columns) for r in table):
            yield f"{name}.csv: does not say what {name}.jsonl says"
    phases = {row["phase"] for row in rows["findings"]} or {"" if rows["changes"] or rows["events"] else "inconclusive"}
    expected = "failed" if "failed" in phases else "inconclusive" if "inconclusive" in phases else "successful"
    if verdict["phase"] != expected or verdict["measurements"] != {n: len(t) for n, t in rows.items() if n != "looks"}:
        yield "verdict.json: does not follow from the tables"
    told, before = {row["commit"] for row in rows["findings"]}, ""
    for landed in facts["ledger"]:
        lost = [touch for touch in landed["touches"] if touch["old"] and NAME.fullmatch(touch["path"])]
        if (lost or [before] != (landed["parents"][:1] or [""])) and landed["commit"] not in told:
            yield f"the ledger was edited at {landed['commit'][:12]}, and findings.jsonl does not say so"
        before = landed["commit"]


def cell(value):
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    text = " ".join(value) if isinstance(value, list) else str(value)
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return "'" + text if text.startswith(FORMULA) else text


def verify(folder, trusted, kept):
    """All that is wrong, what stays open, and the verdict of the export itself."""
    facts, told, verdict = (load((folder / f"{n}.json").read_text("utf-8")) for n in ("facts", "keys", "verdict"))
    lines = {
        n: (folder / f"{n}.jsonl").read_text("utf-8").splitlines() for n in ("changes", "events", "findings", "looks")
    }
    rows, keys = {name: [*map(load, texts)] for name, texts in lines.items()}, keys_of(told, facts)
    wrong = [*events("events", rows["events"], [entry[:2] for entry in facts["entries"]], facts, keys)]
    wrong += [*events("looks", rows["looks"], facts["seen"], facts, keys)]
    wrong += [*changes(rows["changes"], facts), *unlisted(rows["changes"], facts)]
    wrong += tables(folder, rows, verdict, facts)
    heads = ["", *(landed["commit"] for landed in facts["ledger"])]
    if facts["head"] != heads[-1] or kept not in heads:
        wrong.append("the ledger does not end where facts.json says, or does not have the head that was kept")
    unknown = sorted({about["keyid"] for about in facts["verified"].values()}.difference(trusted))
    late = [name for name, _, breaks in facts["entries"] if breaks and name in facts["verified"]]
    left = [f"is {key} a key of {keys[key]['owner']}? Ask there, and give it with --key" for key in unknown]
    left += [f"{name} came after a break of the ledger, which `gitml audit --export` judges" for name in late]
    return [f"wrong: {text}" for text in wrong], [f"open: {text}" for text in left], verdict


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, help="what gitml audit export wrote")
    parser.add_argument("--key", action="append", default=[], help="fingerprint of a key, from the organisation")
    parser.add_argument("--ledger-head", default="", help="a head that the ledger had once, kept elsewhere")
    asked = parser.parse_args()
    try:
        wrong, left, verdict = verify(asked.folder, asked.key, asked.ledger_head)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as exc:
        sys.exit(print(f"{asked.folder}: not a whole export of an audit: {exc!r}", file=sys.stderr) or 2)
    for text in (*wrong, *left, f"the audit itself: {verdict['phase']}: {verdict['reason']}"):
        print("".join(c if c.isprintable() else repr(c)[1:-1] for c in text))
    sys.exit(1 if wrong or verdict["phase"] == "failed" else 3 if left or verdict["phase"] != "successful" else 0)


if __name__ == "__main__":
    main()
