"""`freehold jobs`: what agents are employed to do. A job file counts once its owner has accepted it."""

import contextlib
import os
import shlex
import subprocess
from pathlib import Path
from typing import Annotated, Any

import typer

from freehold.base.errors import BadInput, Refused
from freehold.cli import words
from freehold.cli.desk import Desk
from freehold.cli.signing import AsOption, sign, signer
from freehold.cli.verbs import bare, noun, verb

app: typer.Typer = noun("What agents are employed to do: one Markdown file each, accepted by its owner.")

Name = Annotated[str, typer.Argument(help="The job's name; its file is jobs/NAME.md.")]


@bare(app)
def list_jobs(desk: Desk) -> None:
    """List the jobs and how they stand."""
    desk.show(
        desk.call("jobs.list"),
        lambda jobs: words.table(
            ("job", "agent", "owner", "pack", "state"),
            [(j["name"], *(j.get(key, "") for key in ("agent", "owner", "pack")), j["state"]) for j in jobs],
            "No jobs yet. Write one: freehold jobs new NAME --agent AGENT",
        ),
    )


@verb(app, "new")
def new(
    desk: Desk,
    name: Name,
    agent: Annotated[str, typer.Option(help="Who does it.")],
    pack: Annotated[str, typer.Option(help="The pack that it uses.")] = "expense-audit",
    owner: Annotated[str | None, typer.Option(help="Who answers for it; you by default.")] = None,
) -> None:
    """Write a commented job file that passes its check, for you to fill in, and what its pack begins with."""
    from freehold.runtime.jobfile import parse_job
    from freehold.runtime.jobwords import template
    from freehold.runtime.packs import beginnings

    given = beginnings(pack, lambda: desk.call("packs.list"))
    if (
        not given
        and pack != "external"
        and not any(_same(pack, one["name"]) for one in desk.call("packs.list"))
    ):
        raise BadInput(f"There is no pack {pack[:80]!r}.", remedy="List them: freehold packs")
    beginning = given.pop("job.md", None)
    text = template(
        name, pack=pack, owner=owner or signer(desk, None), agent=agent, beginning=beginning,
        currency=desk.call("estate.hello")["currency"],
        model=_first_model(desk) if "$model" in (beginning or "") else "",
    )  # fmt: skip
    job = parse_job(text, name)
    path = desk.estate.job_file(name)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
        written = [str(path)]
        for source in job.sources.values():
            (path.parent / source.folder).mkdir(parents=True, exist_ok=True)
        for beside, content in given.items():
            with (
                contextlib.suppress(FileExistsError),
                (path.parent / beside).open("x", encoding="utf-8") as file,
            ):
                file.write(content)
                written.append(str(path.parent / beside))
    except FileExistsError as error:
        raise BadInput(f"{path} is there already.", remedy=f"Edit it: freehold jobs edit {name}") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}.", remedy="Check the folder.") from error
    value = {"name": name, "path": str(path), "written": written}
    missing = agent not in {one["slug"] for one in desk.call("agents.list")}
    first = f"freehold agents add {agent} --owner {job.owner}; " if missing else ""
    desk.show(
        value,
        lambda v: (
            "".join(f"Wrote {file}.\n" for file in v["written"])
            + (f"There is no agent {agent} yet.\n" if missing else "")
            + f"Next: {first}freehold jobs edit {name}; freehold jobs accept {name}"
        ),
    )


def _same(pack: str, other: str) -> bool:
    return pack.replace("_", "-") == other.replace("_", "-")


def _first_model(desk: Desk) -> str:
    models = desk.call("models.list")
    return str(models[0]["name"]) if models else "local"


@verb(app, "check")
def check(
    desk: Desk, name: Annotated[str, typer.Argument(help="A job's name, or the path of a job file.")]
) -> None:
    """Say in words what a job may read, send and spend; or every mistake in its file, with its line."""
    path = _file_of(desk, name)
    value = _checked(desk, path)
    desk.show(value, _check_words)
    if value["mistakes"] or value["problems"]:
        raise typer.Exit(BadInput.exit_code)


def _file_of(desk: Desk, name: str) -> Path:
    if name.endswith(".md") or "/" in name:
        return Path(name).expanduser().absolute()
    return desk.estate.job_file(name)


def _checked(desk: Desk, path: Path) -> dict[str, Any]:
    """Check a file by itself; ask a running daemon what the estate knows beyond it."""
    from freehold.runtime.jobfile import check_job, read_text
    from freehold.runtime.jobwords import check_places, describe

    found = check_job(read_text(path), path.stem)
    mistakes = list(found.mistakes)
    value: dict[str, Any] = {"path": str(path), "name": path.stem, "state": "", "words": []}
    value |= {"problems": [], "hints": []}
    if found.job is not None:
        mistakes += check_places(found.job, path.parent, found.lines)
        value |= {"digest": found.job.digest, "words": [list(pair) for pair in describe(found.job)]}
        value |= {"title": found.job.title, "owner": found.job.owner, "pack": found.job.pack}
    value["mistakes"] = [{"line": m.line, "message": m.message, "remedy": m.remedy} for m in mistakes]
    try:
        own = path.parent == desk.estate.jobs and not mistakes
    except BadInput:
        own = False
    client = desk.running() if own else None
    if client is not None:
        said = client.call("jobs.show", {"name": path.stem})
        value |= {"problems": said["problems"], "hints": said["hints"], "state": said["state"]}
    return value


def _check_words(value: dict[str, Any]) -> str:
    if value["mistakes"]:
        count = words.plural(len(value["mistakes"]), "mistake")
        lines = [f"  line {m['line']}: {m['message']} {m['remedy']}".rstrip() for m in value["mistakes"]]
        return f"{value['path']} has {count}:\n" + "\n".join(lines)
    said = [("job", f"{value['name']}: {value['title']}"), *((k, v) for k, v in value["words"])]
    said += [("state", value["state"])] + [("problem", problem) for problem in value["problems"]]
    said += [("mind", hint) for hint in value["hints"]]
    return words.pairs(said)


@verb(app, "accept")
def accept(
    desk: Desk,
    name: Name,
    digest: Annotated[
        str | None, typer.Option(help="For scripts: the digest of the text that you mean.")
    ] = None,
    who: AsOption = None,
) -> None:
    """Look at what a job may do, and let it count as it stands. Its rights are these from now on."""
    value = _checked(desk, desk.estate.job_file(name))
    if value["mistakes"]:
        raise BadInput(_check_words(value), remedy=f"Mend them: freehold jobs edit {name}", code="input.job")
    if not desk.json:
        print(_check_words(value))
    if digest is None and not desk.interactive:
        raise Refused(
            "Nobody was asked whether this job may count.",
            remedy=f"Accept it at a terminal, or say which text you mean: --digest {value['digest']}",
            code="refused.not-shown",
        )
    if digest is not None and digest != value["digest"]:
        raise Refused(
            f"The job file has the digest {value['digest']}, not the one given.",
            remedy=f"Look at it again: freehold jobs check {name}",
            code="refused.digest",
        )
    if digest is None and not desk.ask_yes("Accept this job as it stands?"):
        raise Refused("Not accepted; nothing has changed.", code="refused.by-person")
    args = {"name": name, "digest": value["digest"]}
    content = {"verb": "jobs.accept", **args}
    signed = sign(desk, who, "rules.change", f"job:{name}", digest=value["digest"], content=content)
    desk.show(
        desk.call("jobs.accept", {**args, "signed": signed}),
        lambda v: f"Accepted. {_begins(v, value['pack'])}",
    )


def _begins(job: dict[str, Any], pack: str) -> str:
    """Say how an accepted job begins."""
    name, agent = job["name"], job["agent"]
    if pack == "external":
        return "Start its program; see docs/external-agents.md."
    if job["takes_goals"]:
        return f'Give it a goal: freehold ask --job {name} "GOAL". Talk with it: freehold chat {agent}'
    return f"Run it: freehold run {name}" if job["by_hand"] else "It begins when files land where it watches."


@verb(app, "edit")
def edit(desk: Desk, name: Name) -> None:
    """Open a job file in your editor, then say what is wrong with it or what it may do."""
    path = desk.estate.job_file(name)
    if not path.is_file():
        raise BadInput(f"There is no job {name!r}.", remedy="List them: freehold jobs")
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        subprocess.run([*shlex.split(editor), str(path)], check=True)
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        raise BadInput(f"The editor {editor!r} could not be used: {error}.", remedy="Set EDITOR.") from error
    value = _checked(desk, path)
    desk.show(value, _check_words)
    if not value["mistakes"] and not desk.json:
        desk.say(f"It counts once it is accepted: freehold jobs accept {name}")


@verb(app, "show")
def show(desk: Desk, name: Name) -> None:
    """Show a job: what it means in words, how it stands, and its digest."""
    desk.show(
        desk.call("jobs.show", {"name": name}),
        lambda job: words.pairs(
            [
                ("job", f"{job['name']}: {job['title']}"),
                ("state", job["state"]),
                *((key, text) for key, text in job["words"]),
                *(("problem", problem) for problem in job["problems"]),
                *(("mind", hint) for hint in job["hints"]),
                ("file", job["path"]),
                ("digest", job["digest"]),
            ]
        ),
    )
