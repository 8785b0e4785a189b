"""The expense audit as a pack: its plan, fixed from the job alone, and its steps, which ask the gate for everything.

Runners load it. The work itself is done by the plain functions of ``pipeline``.
"""

import asyncio
import functools
import threading
from typing import Any, Final

import msgspec

from freehold.base.ids import short
from freehold.packs.expense_audit import pipeline
from freehold.packs.expense_audit.asking import answer_of, card_of
from freehold.packs.expense_audit.errors import ReceiptError
from freehold.packs.expense_audit.handover import (
    Checked,
    Read,
    Reported,
    Settled,
    pack_reading,
    unpack_reading,
)
from freehold.packs.expense_audit.images import source_file
from freehold.packs.expense_audit.report.model import summarise
from freehold.packs.expense_audit.settle import Receipt, Unreadable
from freehold.sdk import (
    ActionFailed,
    Artifact,
    BadInput,
    BlockingContext,
    Context,
    Job,
    Pack,
    Plan,
    Refused,
    SourceFile,
)

pack: Final = Pack("expense-audit", version="1.0")

READERS: Final = 2
READ_CPU_S: Final = 30
"""What one file may burn, and what is charged for a reading that was killed: its own CPU is not known."""
MAX_ATTACHED_BYTES: Final = 12 << 20
_MEDIA_TYPES: Final = {"md": "text/markdown", "html": "text/html", "csv": "text/csv"}
_GONE: Final = ("refused.changed", "not-found")


@functools.cache
def _reader() -> threading.Lock:
    """One file at a time in a process: pdfium is not made for two threads, and the picture for two at once."""
    return threading.Lock()


@pack.step
def read(ctx: BlockingContext, item: SourceFile) -> Read:
    """Read one receipt; a file that cannot be read becomes a value that says so, and the rest goes on."""
    ctx.progress(0, 1, item.path)
    try:
        data = ctx.read_source(item)
        with _reader():
            result = pipeline.read_source_file(source_file(item.path, data))
    except ReceiptError as error:
        return Read(item.path, unreadable=pipeline.unreadable(item.path, error))
    except (Refused, ActionFailed) as error:
        if error.code not in _GONE:
            raise
        return Read(item.path, unreadable=Unreadable(item.path, error.code, error.message, error.remedy))
    kept: dict[bytes, str] = {}
    cut_outs = {}
    for cut in result.cut_outs:
        if cut.jpeg not in kept:
            name = f"{item.path.replace('/', '_')}.{cut.name}.jpg"
            kept[cut.jpeg] = ctx.put_artifact(cut.jpeg, "image/jpeg", name).id
        cut_outs[cut.name] = kept[cut.jpeg]
    ctx.progress(1, 1, item.path)
    return Read(item.path, pack_reading(result.reading), cut_outs)


@pack.step
async def settle(ctx: Context, item: Read, owner: str) -> Settled:
    """Ask a person about every doubtful value of one receipt, all at once, and take in the answers.

    A value of which nothing at all was read is not asked for: that it is missing is a finding.
    """
    if item.reading is None:
        return Settled(item.source, unreadable=item.unreadable)
    reading = unpack_reading(item.reading)
    asked = [question for question in pipeline.questions(reading) if question.choices]
    cut_outs = item.cut_outs
    cards = [
        card_of(question, reading, cut_outs.get(question.cut_out) or cut_outs.get("page", ""))
        for question in asked
    ]
    said = await asyncio.gather(*(ctx.ask(card) for card in cards))
    answers = [answer_of(question.field, value, owner) for question, value in zip(asked, said, strict=True)]
    return Settled(item.source, pipeline.settle(reading, answers), cut_outs)


@pack.step
async def check(ctx: Context, settle: list[Settled | None], policy: str, source: str) -> Checked:
    """Check all receipts against the policy; a file whose reader failed is named among the unreadable."""
    unreadable = [one.unreadable for one in settle if one is not None and one.unreadable is not None]
    if None in settle:
        files = await ctx.source(source)
        unreadable += [_lost(file.path) for file, one in zip(files, settle, strict=True) if one is None]
    findings = pipeline.check(_receipts(settle), unreadable, pipeline.parse_policy(policy))
    kept = await ctx.put_artifact(msgspec.json.encode(findings), "application/json", "findings.json")
    return Checked(kept, tuple(unreadable))


def _receipts(settled: list[Settled | None]) -> list[Receipt]:
    return [one.receipt for one in settled if one is not None and one.receipt is not None]


def _lost(path: str) -> Unreadable:
    message = f"{path} could not be read: the reader failed on it."
    return Unreadable(path, "receipt.failed", message, "Look at the run's record; scan the receipt again.")


@pack.step
async def report(
    ctx: Context, settle: list[Settled | None], check: Checked, policy: str, facts: list[tuple[str, str]]
) -> Reported:
    """Write the report as a page, as Markdown and as a table, with the pictures that its findings need."""
    found = await ctx.get_artifact(check.findings)
    findings = msgspec.json.decode(found, type=tuple[pipeline.Finding, ...])
    audit = pipeline.Audit(
        policy=pipeline.parse_policy(policy), receipts=tuple(_receipts(settle)),
        unreadable=check.unreadable, findings=findings, facts=tuple(facts),
    )  # fmt: skip
    pictures = await _pictures(ctx, settle, findings)
    files = []
    for name, content in pipeline.write_report(audit, pictures).items():
        files.append(await ctx.put_artifact(content, _MEDIA_TYPES[name.rpartition(".")[2]], name))
    return Reported.of(tuple(files), summarise(audit))


async def _pictures(
    ctx: Context, settled: list[Settled | None], findings: tuple[pipeline.Finding, ...]
) -> pipeline.Pictures:
    """Return the cut-outs that findings show, each fetched once."""
    held = {one.source: one.cut_outs for one in settled if one is not None}
    pictures: pipeline.Pictures = {}
    for finding in findings:
        for source in finding.sources:
            cut_outs, shown = held.get(source, {}), pictures.setdefault(source, {})
            name = finding.field if finding.field in cut_outs else "page"
            if name in cut_outs and name not in shown:
                shown[name] = await ctx.get_artifact(cut_outs[name])
    return pictures


@pack.step
async def file(ctx: Context, report: Reported, folder: str) -> list[Any]:
    """Put the report's files into the outbox."""
    return [
        (await ctx.act("outbox.write", {"folder": folder, "artifact": one.id, "name": one.name})).value
        for one in report.files
    ]


@pack.step
async def send(ctx: Context, report: Reported, to: list[str], subject: str) -> Any:
    """Mail the report; the plan says to whom, and the job's grade whether a person is asked before."""
    attached: list[Artifact] = []
    for one in sorted(report.files, key=lambda one: one.size):
        if sum(kept.size for kept in attached) + one.size <= MAX_ATTACHED_BYTES:
            attached.append(one)
    lines = [
        f"{report.files_read} files: {report.in_order} in order, {report.refused} refused, "
        f"{report.to_decide} to be decided.",
        f"Claimed: {report.claimed}.",
        f"Held back until decided or corrected: {report.held_back}.",
        "",
        "The findings, each with its receipt and the rule it comes from, are attached.",
        "Values were read by OCR; no language model took part.",
    ]
    letter = {
        "to": to, "subject": subject, "text": "\n".join(lines) + "\n", "attachments": [one.id for one in attached],
    }  # fmt: skip
    outcome = await ctx.act("mail.send", letter)
    return {"status": outcome.status, "record": outcome.record, "value": outcome.value}


@pack.planner
def plan(job: Job) -> Plan:
    """Read, settle, check, report; then into the outbox and to the recipients, where the job names them."""
    settings, source = job.settings, _source(job)
    if not job.policy.strip():
        raise BadInput("The job names no policy to check against.", remedy="Add a line: policy: policy.md")
    pipeline.parse_policy(job.policy)
    made = Plan(runners=READERS)
    reading = made.add(
        read, each=f"source:{source}", tools=["source.read", "artifact.put"], concurrency=READERS,
        cpu_s=READ_CPU_S, timeout_s=300, retries=1,
    )  # fmt: skip
    settled = made.add(
        settle, each=reading, tools=["question.ask"], params={"owner": job.get("owner", "")}, cpu_s=5
    )
    shared = {"policy": job.policy}
    checked = made.add(
        check,
        needs=[settled],
        tools=["source.list", "artifact.put"],
        params={**shared, "source": source},
        cpu_s=60,
    )
    written = made.add(
        report,
        needs=[settled, checked],
        tools=["artifact.put", "artifact.get"],
        params={**shared, "facts": _facts(job)},
        cpu_s=60,
    )
    last = written
    if folder := settings.get("outbox", "reports"):
        last = made.add(
            file, needs=[written], tools=["outbox.write"], params={"folder": str(folder)}, cpu_s=5
        )
    if to := settings.get("send_to"):
        letter = {
            "to": [to] if isinstance(to, str) else to,
            "subject": str(settings.get("subject") or job.get("title") or "Expense audit"),
        }
        needs = list(dict.fromkeys([written.id, last.id]))
        made.add(send, needs=needs, tools=["mail.send"], params=letter, cpu_s=5)
    return made


def _source(job: Job) -> str:
    named = job.settings.get("source")
    if named is None and len(job.sources) == 1:
        return job.sources[0]
    if named not in job.sources:
        known = ", ".join(job.sources) or "none"
        raise BadInput(
            f"The job does not say which source holds the receipts (it has: {known}).",
            remedy="Name one source, or say which below `params`: source: NAME",
        )
    return str(named)


def _facts(job: Job) -> list[list[str]]:
    facts = [["Job", str(job.get("title") or job.name)]]
    if job.get("agent"):
        facts.append(["Made by", f"agent {job.get('agent')} for {job.get('owner')}"])
    if job.get("run"):
        facts.append(["Run", short(str(job.get("run")))])
    return facts
