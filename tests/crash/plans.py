"""Jobs of the synthetic pack whose effects can be counted where they arrive, one of each kind.

A runner that has read a stranger's answer may send no further request, so each request has a node, and with it
a runner, of its own.
"""

from typing import Any

import msgspec

from freehold.kernel.grades import Category, Grade
from freehold.kernel.rights import right
from freehold.runtime.house import Pack
from freehold.runtime.job import Budgets, Job, Limits, Mail, Source
from freehold.testing.estates import AGENT, OWNER, synthetic_job

TO = "finance@example.org"
SENDER = "freehold@example.org"
EXPENSE = Pack("expense-audit", "freehold.packs.expense_audit.pack:pack")


class Doors(msgspec.Struct, frozen=True):
    """Ports of the servers that count: one that honours keys, one that can be asked, one for mail; and the receipts."""

    keyed: int
    asked: int
    mail: int
    receipts: str = ""

    def keyed_url(self) -> str:
        return f"http://127.0.0.1:{self.keyed}"

    def asked_url(self) -> str:
        return f"http://127.0.0.1:{self.asked}"


def request(method: str, url: str) -> dict[str, Any]:
    return {"tool": "http.request", "args": {"method": method, "url": url}}


def letter(*attachments: str) -> dict[str, Any]:
    args = {"to": [TO], "subject": "Report", "text": "It is attached.", "attachments": list(attachments)}
    return {"tool": "mail.send", "args": args}


def several(name: str, *calls: dict[str, Any]) -> dict[str, Any]:
    tools = sorted({call["tool"] for call in calls if "tool" in call})
    return {"id": name, "step": "several", "tools": tools, "params": {"calls": list(calls)}}


def five_kinds(doors: Doors, text: str) -> list[dict[str, Any]]:
    """Return nodes that do one effect of each kind; ``text`` is the report."""
    outbox = {"folder": "reports", "artifact": "$0", "name": "report.txt"}
    return [
        several(
            "once",
            {"put": text, "name": "report.txt"},
            {"tool": "outbox.write", "args": outbox},
            letter("$0"),
        ),
        several("keyed", request("POST", f"{doors.keyed_url()}/keyed")),
        several("asked", request("POST", f"{doors.asked_url()}/asked")),
        several("read", request("GET", f"{doors.asked_url()}/effects/nothing")),
    ]


def small(doors: Doors, text: str = "") -> Job:
    """Return the short plan: the five kinds and nothing else."""
    return _job("small", doors, five_kinds(doors, text), Grade.ACT)


def whole(doors: Doors, text: str = "") -> Job:
    """Return the long plan: a fan-out, a result too large for the journal, a question, and a mail that is asked for."""
    question = {"text": "How much is it?", "type": "number"}
    nodes: list[dict[str, Any]] = [
        {"step": "numbers", "params": {"count": 5}},
        {"step": "square", "each": "numbers"},
        {"step": "add_up", "id": "sum", "needs": ["square"]},
        {"step": "numbers", "id": "many", "params": {"count": 9_000}},
        {"step": "ask", "id": "asking", "tools": ["question.ask"], "params": {"question": question}},
        *five_kinds(doors, text),
    ]
    return _job("whole", doors, nodes, Grade.ASK)


def _job(name: str, doors: Doors, nodes: list[dict[str, Any]], send: Grade) -> Job:
    kinds: dict[str, Any] = {
        doors.keyed_url(): "keyed",
        doors.asked_url(): {"kind": "reconcilable", "ask": "/effects/{action}", "settle_s": 0},
    }
    params: dict[str, Any] = {"plan": nodes, "runners": 4, "http_kinds": kinds}
    return synthetic_job(
        params,
        name=name,
        may=(
            right("mail.send", TO),
            right("outbox.write", "reports"),
            right("http.request", f"POST {doors.keyed_url()}/keyed"),
            right("http.request", f"POST {doors.asked_url()}/asked"),
            right("http.request", f"GET {doors.asked_url()}/effects"),
        ),
        grades={Category.SEND: send, Category.CHANGE_SOURCE: Grade.ACT},
        mail=Mail("127.0.0.1", doors.mail, SENDER),
    )


def expense(doors: Doors, text: str = "") -> Job:
    """Return the expense audit of the receipts: read, asked, checked, reported, filed, and sent after an approval."""
    return Job(
        name="expense",
        digest="0" * 64,
        title=text or "Travel expenses",
        owner=OWNER,
        agent=AGENT,
        pack=EXPENSE.name,
        budget=Budgets(run=Limits(money_micro=0, tokens=0, actions=10_000, cpu_us=10**11)),
        sources={"receipts": Source("receipts")},
        policy="policy.md",
        params={"send_to": TO},
        may=(
            right("source.read", "receipts"),
            right("outbox.write", "reports"),
            right("mail.send", TO),
        ),
        grades={Category.SEND: Grade.ASK, Category.CHANGE_SOURCE: Grade.ACT},
        mail=Mail("127.0.0.1", doors.mail, SENDER),
    )


JOBS = {"small": small, "whole": whole, "expense": expense}
MAIL_NODES = {"small": ("once", 3), "whole": ("once", 3), "expense": ("send", 1)}
"""Which node sends a job's one mail, and as which of its actions."""
