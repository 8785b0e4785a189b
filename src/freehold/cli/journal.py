"""`freehold journal`: what was done, provably. `verify` needs a file and a key, no daemon."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from freehold.base.errors import BadInput, FreeholdError
from freehold.base.ids import short
from freehold.cli import words
from freehold.cli.desk import Desk
from freehold.cli.verbs import bare, noun, verb

app: typer.Typer = noun("What was done, by whom, allowed by which rule; and the proof of it.")


@bare(app)
def list_entries(
    desk: Desk,
    run: Annotated[str, typer.Option(help="Only entries of this run.")] = "",
    limit: Annotated[int, typer.Option(help="How many of the newest.")] = 30,
) -> None:
    """List the newest entries."""
    desk.show(desk.call("journal.show", {"run": run, "limit": limit}), _list_words)


def _list_words(value: dict[str, Any]) -> str:
    rows = [
        (e["index"], words.clock(e["at_us"]), e["type"], e["status"], e["tool"], e["node"],
         short(e["run"]) if e["run"] else "", e["agent"])
        for e in value["entries"]
    ]  # fmt: skip
    head = ("#", "at", "entry", "status", "tool", "step", "run", "agent")
    return words.table(head, rows, "The journal is empty.") + f"\n{value['size']:,} entries in all."


@verb(app, "show")
def show(desk: Desk, index: Annotated[int, typer.Argument(help="The entry's number.")]) -> None:
    """Show one entry: its public body, and what is sealed in it unless that was forgotten."""
    desk.show(desk.call("journal.show", {"index": index}), _entry_words)


def _entry_words(value: dict[str, Any]) -> str:
    entry = value["entries"][0]
    body = json.dumps(entry["body"], indent=2, ensure_ascii=False)
    private = json.dumps(entry["private"], indent=2, ensure_ascii=False)
    head = f"Entry {entry['index']} of {value['size']:,}, {words.clock(entry['at_us'])}"
    return f"{head}\n{body}\nsealed: {private}"


@verb(app, "export")
def export(
    desk: Desk,
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    payloads: Annotated[bool, typer.Option(help="With the sealed parts, which stay sealed.")] = True,
) -> None:
    """Write the whole journal into one file that anybody can verify with your public key."""
    value = desk.call("journal.export", {"path": str(file.absolute()), "payloads": payloads})
    desk.show(
        value,
        lambda v: f"Wrote {v['entries']:,} entries to {v['path']}.\nVerify: freehold journal verify {file}",
    )


@verb(app, "verify")
def verify(
    desk: Desk,
    file: Annotated[Path, typer.Argument(help="An export, or a proof.")],
    key: Annotated[
        str | None,
        typer.Option(help="The journal's public key, or a file with it; by default this estate's."),
    ] = None,
    witness: Annotated[
        Path | None,
        typer.Option(help="A checkpoint that somebody else kept; finds a replaced or shortened journal."),
    ] = None,
) -> None:
    """Check an export or a proof, offline: every entry, every link, the signature."""
    from freehold.kernel import verify as verifier

    proof_given = _is_proof(file)
    public = _public_key(desk, key)
    note = None if witness is None else _text(witness)
    if proof_given:
        entry = verifier.verify_proof(_proof_bytes(file), public, note)
        value: dict[str, Any] = {
            "valid": True, "kind": "proof", "index": entry.index, "entry": entry.fields,
            "journal": entry.checkpoint.origin, "size": entry.checkpoint.size,
        }  # fmt: skip
    else:
        found = verifier.verify_file(file, public, note)
        value = {
            "valid": True, "kind": "export", "journal": found.origin, "size": found.size, "root": found.root,
            "payloads": found.payloads, "withheld": found.withheld, "witnessed": found.witnessed,
        }  # fmt: skip
    desk.show(value, _verified_words)


def _verified_words(value: dict[str, Any]) -> str:
    if value["kind"] == "proof":
        entries = words.plural(value["size"], "entry", "entries")
        return f"Valid: entry {value['index']} stands in the journal {value['journal']} of {entries}."
    witness = "a witness agrees" if value["witnessed"] else "no witness was asked"
    return f"Valid: {value['size']:,} entries of {value['journal']}, all whole and in order; {witness}."


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read: {error}.", remedy="Name the right file.") from error


def _public_key(desk: Desk, given: str | None) -> str:
    if given is not None:
        return _text(Path(given)).strip() if Path(given).is_file() else given
    try:
        return _text(desk.estate.keys / "journal.pub").strip()
    except FreeholdError as error:
        raise BadInput(
            "No public key was given, and there is no estate here to take it from.",
            remedy="Add --key KEY or FILE.",
        ) from error


def _is_proof(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(1) == b"{"
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {error.strerror}.", remedy="Name an export or a proof."
        ) from error


def _proof_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(16 << 20)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error


@verb(app, "proof")
def proof(
    desk: Desk,
    name: Annotated[str, typer.Argument(help="An entry's number, or an action's short id.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Write it into this file.", metavar="FILE")
    ] = None,
) -> None:
    """Give the proof that one action stands in the journal; anybody can check it with your public key."""
    value = desk.call("journal.proof", {"name": name})
    text = str(value["proof"])
    if out is None:
        print(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{out} cannot be written: {error.strerror}.", remedy="Name another file.") from error
    desk.show(
        {"index": value["index"], "path": str(out)},
        lambda v: f"Wrote the proof of entry {v['index']} to {v['path']}.",
    )


@verb(app, "checkpoint")
def checkpoint(desk: Desk) -> None:
    """Print the newest signed checkpoint: give it to somebody who keeps it, as a witness."""
    desk.show(desk.call("journal.checkpoint"), lambda v: str(v["checkpoint"]).rstrip("\n"))
