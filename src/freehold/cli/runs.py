"""`freehold run` and `freehold runs`: executions of jobs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from freehold.base.errors import BadInput, Refused
from freehold.base.ids import short
from freehold.cli import words
from freehold.cli.desk import Desk
from freehold.cli.verbs import bare, noun, verb

app: typer.Typer = noun("Executions of jobs, and what became of them.")
daily: typer.Typer = noun("Run")

Run = Annotated[str, typer.Argument(help="The run's id, or the beginning or end of it.")]


@verb(daily, "run")
def run(
    desk: Desk,
    job: Annotated[str, typer.Argument(help="The job to start.")],
    watch: Annotated[bool, typer.Option("--watch", help="Stay and see it go.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until it has ended.")] = False,
) -> None:
    """Start a job now. It goes on by itself; you need not stay."""
    started = desk.call("runs.start", {"job": job})
    if watch and not desk.json:
        from freehold.cli.watch import follow

        desk.say(f"Run {short(started['id'])} of {job}.")
        started = follow(desk, started["id"])
    elif wait or watch:
        started = desk.client().call("runs.wait", {"name": started["id"]}, wait_s=None)
    desk.show(started, lambda value: _started(value, job))
    if started.get("state") == "failed":
        raise typer.Exit(1)


def _started(value: dict[str, Any], job: str) -> str:
    name = short(value["id"])
    if "state" not in value:
        return f"Started run {name} of {job}. See it go: freehold watch {name}"
    return ended_words(value)


def ended_words(run: dict[str, Any]) -> str:
    """Return how a run stands, and where it says why it failed."""
    name = short(run["id"])
    why = f" See why: freehold runs show {name}" if run["state"] == "failed" else ""
    return f"Run {name} of {run['job']}: {run['state']}.{why}"


@bare(app)
def list_runs(
    desk: Desk,
    job: Annotated[str, typer.Option(help="Only runs of this job.")] = "",
    state: Annotated[str, typer.Option(help="Only runs in this state.")] = "",
    limit: Annotated[int, typer.Option(help="How many of the newest.", min=1)] = 30,
) -> None:
    """List the newest runs."""
    desk.show(
        desk.call("runs.list", {"job": job, "state": state, "limit": limit}),
        lambda runs: words.table(
            ("run", "job", "agent", "state", "started", "took"),
            [
                (short(r["id"]), r["job"], r["agent"], r["state"], words.clock(r["started_us"]), _took(r))
                for r in runs
            ],
            "No run fits that." if job or state else "No runs yet. Start one: freehold run JOB",
        ),
    )


def _took(row: dict[str, Any]) -> str:
    return words.ago(row["ended_us"] - row["started_us"]) if row["ended_us"] else ""


@verb(app, "show")
def show(
    desk: Desk,
    name: Run,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write one page with plan, cards, cost and proof.", metavar="FILE"),
    ] = None,
) -> None:
    """Show a run: its steps, what it did and asked, what was refused, what it cost."""
    value = desk.call("runs.show", {"name": name})
    if html is None:
        desk.show(value, _words)
        return
    from freehold.cli.page import page

    proof = _proof(desk, value)
    try:
        html.write_text(page(value, proof), encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{html} cannot be written: {error.strerror}.", remedy="Name another file.") from error
    desk.show({"path": str(html)}, lambda v: f"Wrote {v['path']}.")


def _proof(desk: Desk, run: dict[str, Any]) -> dict[str, Any] | None:
    """Return a proof of the run's last effect on the world, else of its end."""
    done = [a for a in run["actions"] if a.get("category") and "result_index" in a]
    index = done[-1]["result_index"] if done else run["last_index"]
    if index < 0:
        return None
    found: dict[str, Any] = desk.call("journal.proof", {"name": str(index), "payload": False})
    return found


def _words(run: dict[str, Any]) -> str:
    said = [
        words.pairs(
            [
                ("run", run["id"]),
                ("job", f"{run['job']} ({run['agent']} for {run['owner']}, pack {run['pack']})"),
                ("state", run["state"] + (f": {run['message']}" if run["message"] else "")),
                ("started", f"{words.clock(run['started_us'])} by {run['trigger']}"),
                ("took", words.ago(run["bill"]["elapsed_us"])),
                ("cost", _cost(run["bill"])),
                ("journal", f"{run['entries']:,} entries, from {run['first_index']} to {run['last_index']}"),
                ("waits for", ", ".join(short(card) for card in run["cards"])),
            ]
        ),
        _section("Steps", words.table(("step", "begun", "done", "not done", "cpu"), _steps(run), "")),
        _section(
            "Effects", words.table(("action", "tool", "step", "outcome", "approved by"), _effects(run), "")
        ),
        _section("Refused", "\n".join(_refusal(refusal) for refusal in run["refusals"])),
    ]
    return "\n\n".join(part for part in said if part)


def _cost(bill: dict[str, Any]) -> str:
    spent = bill["spent"]
    counted = f"{words.plural(spent['actions'], 'action')}, {words.plural(spent['tokens'], 'token')}"
    money = words.amount(spent["money_micro"], bill["currency"])
    return f"{money}, {words.cpu(spent['cpu_us'])} of CPU, {counted}"


def _section(title: str, text: str) -> str:
    return f"{title}\n{text}" if text else ""


def _steps(run: dict[str, Any]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for step in run["steps"]:
        failed = step.get("not_done", 0) + step.get("unknown", 0)
        rows.append((step["node"], step["started"], step.get("done", 0), failed, words.cpu(step["cpu_us"])))
    return rows


def _effects(run: dict[str, Any]) -> list[tuple[object, ...]]:
    shown = [a for a in run["actions"] if a.get("category") or a["status"] != "done"]
    return [(short(a["id"]), a["tool"], a["node"], a["status"], _approvers(a)) for a in shown[:50]]


def _approvers(action: dict[str, Any]) -> str:
    who = action.get("approver") or ""
    return who if isinstance(who, str) else ", ".join(who)


def _refusal(refusal: dict[str, Any]) -> str:
    return words.wrapped(
        f"{refusal['tool']} at {refusal['node']}: {refusal['message']} {refusal['remedy']}", "  "
    )


@verb(app, "cancel")
def cancel(
    desk: Desk, name: Run, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
) -> None:
    """End a run for good; effects in flight are settled first."""
    if not yes and desk.interactive and not desk.ask_yes(f"End run {name} for good?"):
        raise Refused("Nothing was cancelled.", code="refused.by-person")
    desk.show(desk.call("runs.cancel", {"name": name}), lambda r: f"Run {short(r['id'])} is {r['state']}.")


@verb(app, "pause")
def pause(desk: Desk, name: Run) -> None:
    """Begin no further step of a run until you resume it."""
    desk.show(desk.call("runs.pause", {"name": name}), lambda r: f"Run {short(r['id'])} is {r['state']}.")


@verb(app, "resume")
def resume(desk: Desk, name: Run) -> None:
    """Let a paused run go on."""
    desk.show(desk.call("runs.resume", {"name": name}), lambda r: f"Run {short(r['id'])} goes on.")


@verb(app, "diff")
def diff(desk: Desk, name: Run) -> None:
    """Show what a run did to files: in the outbox, in folders that it may change, and what its runners left."""
    desk.show(desk.call("runs.diff", {"name": name}), _diff_words)


@verb(app, "undo")
def undo(
    desk: Desk, name: Run, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
) -> None:
    """Put the files back that a run made or changed, if nobody changed them since; what was sent stays sent."""
    if (
        not yes
        and desk.interactive
        and not desk.ask_yes(f"Put back the files that run {name} made or changed?")
    ):
        raise Refused("Nothing was undone.", code="refused.by-person")
    desk.show(
        desk.call("runs.undo", {"name": name}),
        lambda r: f"Taken back from run {short(r['id'])}:\n" + "\n".join(r["files"]),
    )


@verb(app, "replay")
def replay(desk: Desk, name: Run) -> None:
    """Run a recorded run again with every action answered from the journal and none done; say where it differs."""
    value = desk.client().call("runs.replay", {"name": name}, wait_s=None)
    desk.show(value, _replay_words)
    if value["verdict"] != "same":
        raise typer.Exit(1)


def _replay_words(value: dict[str, Any]) -> str:
    rows: list[tuple[object, ...]] = []
    said = []
    for step in value["steps"]:
        rows.append((step["node"], step["item"], step["outcome"], step["actions"], step["recorded"][:16]))
        if step["why"]:
            at = f", at its action {step['ordinal']}" if step["ordinal"] else ""
            said.append(words.wrapped(f"{step['node']}{at}: {step['why']}", "  "))
    table = words.table(("step", "item", "result", "actions", "digest"), rows, "Nothing was recorded.")
    same = value["verdict"] == "same"
    verdict = "Every result is the same, byte by byte." if same else "It is not the same."
    return "\n".join([table, *said, f"{verdict} Nothing was done."])


def _diff_words(found: list[dict[str, Any]]) -> str:
    if not found:
        return "The run left no files."
    said = []
    for one in found:
        said.append(
            f"{one['place']}  {one['path']}  {one['state']}, {one['size']:,} bytes, SHA-256 {one['digest']}"
        )
        said += [one["diff"]] if one["diff"] else []
    return "\n".join(said)
