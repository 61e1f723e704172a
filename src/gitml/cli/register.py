"""``gitml register``"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from gitml.cli.common import as_json, examples, root_of
from gitml.cli.tables import comparison_table, difference_json
from gitml.jsontext import picked
from gitml.output import note, paint, show, show_json, size
from gitml.training.delivery import Delivery
from gitml.training.register import RegisterCall, Registered, RegisterOutcome
from gitml.training.register import register as register_version


@click.command(
    epilog=examples(
        'gitml register fraud --artifact ~/Downloads/fraud.onnx --source "Acme Ltd, contract 4711"',
        "gitml register fraud --artifact fraud.onnx --signature signature.json --samples samples.parquet --source Acme",
        "gitml register embed --artifact embed.safetensors --metrics metrics.json --source https://models.example/embed",
    )
)
@click.argument("model")
@click.option("--artifact", required=True, type=click.Path(path_type=Path), help="The model: a file or a folder.")
@click.option("--source", required=True, metavar="TEXT", help="Where it is from: an address, a contract, a person.")
@click.option("--metrics", type=click.Path(path_type=Path), help="JSON: what it scores, on data of yours.")
@click.option("--signature", type=click.Path(path_type=Path), help="JSON: names and types of its inputs and outputs.")
@click.option(
    "--samples", type=click.Path(path_type=Path), help="Parquet: some rows of inputs with the model's answers."
)
@click.option(
    "--reference",
    type=click.Path(path_type=Path),
    help="JSON of `gitml reference`: how the rows that it was made of, or accepted on, are distributed.",
)
@click.option("-y", "--yes", is_flag=True, help="Replace an artifact that no version keeps, without asking.")
@click.option("--no-wait", is_flag=True, help="Fail at once when somebody else is training in this clone.")
@as_json
@click.pass_context
def register(
    ctx: click.Context,
    /,
    model: str,
    *,
    yes: bool,
    no_wait: bool,
    as_json: bool,
    **delivery: Any,
) -> None:
    """Make a version of a MODEL that was bought or trained elsewhere.

    In gitml.yaml the model says `origin: external`. Its artifact goes to its place there and into DVC's cache, and a
    record with its origin to models/MODEL/versions. The same artifact from the same source is registered once.

    With --samples its answers can be checked: here, by CI (evidence `evaluated`, which gates ask for), and by each
    agent before it serves. With --reference, `gitml monitor` tells when live rows move away from it. Exit code 1: it
    answers otherwise, or has a version with other metrics, samples or reference.
    """
    root = root_of(ctx)
    call = RegisterCall(lambda question: _may(question, yes=yes), note, wait=not no_wait)
    result = register_version(root, model, Delivery(**delivery), call)
    if as_json:
        show_json(_json(root, result))
    else:
        _show(root, result)


def _may(question: str, *, yes: bool) -> bool:
    if yes:
        note(question + " yes")
        return True
    return sys.stdin.isatty() and click.confirm(question, err=True)


def _show(root: Path, result: Registered) -> None:
    record = result.record
    if result.outcome is RegisterOutcome.SAME:
        show(f"{record.model}: registered already, {record.reference} of {record.created[:10]} stands")
        return
    show(paint(f"{record.model}: new version {record.reference}", "bold") + f" (external, from {record.source})")
    artifact = record.files[record.artifact]
    show(f"{record.artifact}  {size(artifact.size)}  SHA-256 {artifact.sha256}")
    if result.comparison:
        show("\n" + comparison_table(result.comparison))
    if not record.metrics:
        note("it has no metrics: gates that read them stay shut")
    show("\ncommit it: git add " + " ".join(result.changed))
    if "samples" not in record.roles:
        note("it has no samples: nobody can check its answers, and gates that ask for `evaluated` stay shut")
    if "reference" not in record.roles:
        note("it has no reference: whether live rows drift away cannot be told, see gitml reference --help")
    show("and share what DVC keeps: dvc push " + " ".join(path for path, file in record.files.items() if file.dvc))


def _json(root: Path, result: Registered) -> dict[str, Any]:
    comparison = result.comparison
    return {
        **picked(result.record, "model", "version", "digest", "source"),
        **picked(result, "outcome", "changed"),
        "record": result.path.relative_to(root),
        "against": comparison.against.version if comparison else None,
        "differences": [difference_json(d) for d in comparison.differences] if comparison else [],
    }
