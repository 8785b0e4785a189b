"""`freehold bill`: what a run, a job or a month cost."""

from typing import Annotated, Any

import typer

from freehold.base.ids import short
from freehold.cli import words
from freehold.cli.desk import Desk
from freehold.cli.verbs import noun, verb

app: typer.Typer = noun("The bill")


@verb(app, "bill")
def bill(
    desk: Desk,
    name: Annotated[
        str, typer.Argument(help="A run's short id or a job; everybody's day and month without.")
    ] = "",
) -> None:
    """Say what was spent, what is still reserved, and against which limits."""
    desk.show(desk.call("bill", {"name": name}), _words)


def _words(value: dict[str, Any]) -> str:
    return _totals(value) if "totals" in value else _run(value)


def _run(value: dict[str, Any]) -> str:
    spent, reserved, currency = value["spent"], value["reserved"], value["currency"]
    held = "" if not any(reserved.values()) else ", ".join(_amounts(reserved, currency))
    return words.pairs(
        [
            ("run", f"{short(value['run'])} of {value['job']}, {value['agent']} for {value['owner']}"),
            ("money", words.amount(spent["money_micro"], currency)),
            ("CPU", words.cpu(spent["cpu_us"])),
            ("tokens", f"{spent['tokens']:,}"),
            ("actions", f"{spent['actions']:,}"),
            ("on the clock", words.ago(value["elapsed_us"])),
            ("reserved", held and f"{held} (in flight, or outcome unknown)"),
            ("closed", "yes" if value["closed"] else "no, the run goes on"),
        ]
    )


def _amounts(cost: dict[str, int], currency: str) -> list[str]:
    said = [words.amount(cost["money_micro"], currency)] if cost["money_micro"] else []
    said += [f"{words.cpu(cost['cpu_us'])} of CPU"] if cost["cpu_us"] else []
    said += [words.plural(cost["tokens"], "token")] if cost["tokens"] else []
    return said + ([words.plural(cost["actions"], "action")] if cost["actions"] else [])


def _totals(value: dict[str, Any]) -> str:
    currency = value["currency"]
    rows = []
    for total in value["totals"]:
        limits = [
            f"{limit['dimension']} {limit['amount']:,}"
            for limit in total["limits"]
            if limit["window"] == total["window"]
        ]
        rows.append(
            (
                total["account"].replace(":", " "),
                f"this {total['window']}",
                words.amount(total["spent"]["money_micro"], currency),
                words.cpu(total["spent"]["cpu_us"]),
                f"{total['spent']['tokens']:,}",
                f"{total['spent']['actions']:,}",
                ", ".join(limits) or "none",
            )
        )
    return words.table(
        ("account", "window", "money", "cpu", "tokens", "actions", "limits"), rows, "Nothing was spent."
    )
