"""Writes what is made from the code: JSON schemas and the reference pages. ``--check`` says what is not up to date."""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from lookexample import with_examples

from gitml.cli.main import gitml
from gitml.gates.table import GATES
from gitml.policy import approvals, builtin, change, freezes, override
from gitml.spec.schema import FILES, SCHEMAS, schema_of, schema_text

ROOT = Path(__file__).resolve().parent.parent
NOTE = "% Made by docs/generate.py from the code; edit there."
WIDTH = 92


def pages() -> dict[str, str]:
    """Path below the root → text."""
    files = {f"schemas/{name}.schema.json": schema_text(name) for name in SCHEMAS}
    files["docs/reference/cli.md"] = cli_page()
    files["docs/reference/gates.md"] = gates_page()
    looked = "docs/reference/monitor-report.md"
    files[looked] = with_examples((ROOT / looked).read_text(encoding="utf-8"))
    for name in SCHEMAS:
        kind = "json" if FILES[name].endswith(".json") else "yaml"
        files[f"docs/reference/{name}-{kind}.md"] = yaml_page(name)
    return files


def cli_page() -> str:
    parts = [NOTE, "# Commands", "Every command, as `--help` shows it."]
    for words, command in commands(("gitml",), gitml):
        context = click.Context(command, info_name=" ".join(words), terminal_width=WIDTH, max_content_width=WIDTH)
        parts += [f"{'#' * min(len(words) + 1, 4)} {' '.join(words)}", f"```text\n{command.get_help(context)}\n```"]
    return "\n\n".join(parts) + "\n"


def commands(words: tuple[str, ...], command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=words[-1])
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None and not inner.hidden:
                yield from commands((*words, name), inner)


INTRODUCTION = """\
What a version must show before a pull request may bring it into an environment. The gates of an environment stand in
`policy.yaml` ([](policy-yaml.md)); a gate that is not named is not asked. Each answers *successful*, *failed* or
*inconclusive*, with a reason and its numbers, and the way in is open only when all are successful. What is missing, no
number, too old, or of another model, version, environment or repository is inconclusive, and keeps it shut.

Whose approval counts, and why, is in [](../explanation/approvals.md)."""
ALWAYS = (
    "Asked of every version, whether `policy.yaml` names them or not. The way in stays shut until they are successful."
)
TIMES = "Dates and people stop a promotion too, or open a gate that is shut."


def gates_page() -> str:
    """From the docstrings of the gates: each documents itself."""
    parts = [NOTE, "# Gates", INTRODUCTION]
    parts += [part for name, gate in GATES.items() for part in (f"## {name}", prose(gate.judge))]
    parts += ["## Without being asked", ALWAYS]
    always = {
        **{name: rule.judge for name, rule in builtin.BUILT_IN.items()},
        "ran before": builtin.ran_before,
        "change": change.judge,
    }
    parts += [part for name, judge in always.items() for part in (f"### {name}", prose(judge))]
    parts += ["## Freezes, holds, overrides, approvals", TIMES]
    times = {
        "freeze": freezes.judge_freeze,
        "hold": freezes.judge_hold,
        "override": override.judge,
        "approvals": approvals.judge,
    }
    parts += [part for name, judge in times.items() for part in (f"### {name}", prose(judge))]
    return "\n\n".join(parts) + "\n"


def prose(what: Callable[..., object]) -> str:
    """A docstring as Markdown: indented lines are YAML."""
    text = inspect.cleandoc(what.__doc__ or "").replace("``", "`")
    blocks = re.sub(r"(?m)(?:^    .*\n?)+", lambda m: f"```yaml\n{textwrap.dedent(m.group()).strip()}\n```\n", text)
    return blocks.strip()


def yaml_page(name: str) -> str:
    schema = schema_of(name)
    definitions: dict[str, Any] = schema.get("$defs", {})
    parts = [NOTE, f"# {FILES[name]}", schema["description"], table(schema)]
    for title in order(schema, definitions):
        body = record(definitions[title])
        parts += [f"## {title}", body.get("description", ""), table(body)]
    if FILES[name].endswith(".json"):
        parts.append(
            f"Its JSON schema is `schemas/{name}.schema.json`; `gitml check` holds the file in the tree against it."
        )
        return "\n\n".join(p for p in parts if p) + "\n"
    up = "../" * FILES[name].count("/")
    editors = f"# yaml-language-server: $schema={up}schemas/{name}.schema.json"
    parts += [
        "## In your editor",
        f"Editors check and complete the file when its first line is\n\n```yaml\n{editors}\n```",
    ]
    return "\n\n".join(p for p in parts if p) + "\n"


def order(schema: dict[str, Any], definitions: dict[str, Any]) -> list[str]:
    """Definitions in the order in which a reader meets them."""
    met: dict[str, None] = {}

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            reference = str(value.get("$ref", "")).rpartition("/")[2]
            if reference and reference not in met:
                met[reference] = None
                walk(definitions[reference])
            for key, inner in value.items():
                if key != "$defs":
                    walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(schema)
    return [name for name in met if "properties" in record(definitions[name])]


def record(definition: dict[str, Any]) -> dict[str, Any]:
    """The mapping among the forms that a definition allows."""
    return next((form for form in definition.get("anyOf", ()) if "properties" in form), definition)


def table(schema: dict[str, Any]) -> str:
    rows = ["| key | value | meaning |", "|---|---|---|"]
    required = schema.get("required", [])
    properties = schema.get("properties", {})
    for key in sorted(properties, key=lambda k: k not in required):
        about = properties[key]
        star = " (required)" if key in required else ""
        default = f" Default: `{str(about['default']).lower()}`." if "default" in about else ""
        rows.append(f"| `{key}`{star} | {kind(about)} | {about.get('description', '')}{default} |")
    return "\n".join(rows)


def kind(about: dict[str, Any]) -> str:
    """The type of a value in words."""
    if "$ref" in about:
        name = str(about["$ref"]).rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in about:
        return " or ".join(kind(form) for form in about["anyOf"])
    if "enum" in about or "const" in about:
        return ", ".join(f"`{word}`" for word in about.get("enum", [about.get("const")]))
    if about.get("type") == "array":
        return f"list of {kind(about.get('items', {}))}"
    if "additionalProperties" in about:
        return f"mapping of names to {kind(about['additionalProperties'])}"
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true` or `false`"}
    examples = about.get("examples")
    suffix = f", such as {' or '.join(f'`{e}`' for e in examples)}" if examples else ""
    return words.get(about.get("type", ""), "any value") + suffix


def main(arguments: list[str]) -> int:
    stale = []
    for name, text in pages().items():
        path = ROOT / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if stale:
        print("\n".join(f"{'out of date' if '--check' in arguments else 'written'}: {name}" for name in stale))
    if stale and "--check" in arguments:
        print("run: make generate")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
