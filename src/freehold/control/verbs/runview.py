"""A run as people see it, put together from its document, its live graph and the journal's entries.

For `runs show`, `watch`, the bill and the page. What is sealed for a forgotten subject is left out.
"""

from typing import Any, Final

from freehold.base import FreeholdError
from freehold.base.canonical import decode
from freehold.control.verbs.desk import Desk
from freehold.kernel import body as bodies
from freehold.kernel.limits import cost_row
from freehold.runtime.engine import ALIVE, RunDocument
from freehold.runtime.planning import PLAN_NODE
from freehold.store.interface import Cost, Entry, EntryKind

MAX_ACTIONS: Final = 500


class RunView:
    """Puts views of runs together, over one desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def alive(self, run: str) -> bool:
        """Whether the run has not ended."""
        return self._desk.engine.document(run).state in ALIVE

    def row(self, document: RunDocument) -> dict[str, Any]:
        """Return a run's line in a list."""
        live = self._desk.engine.live(document.id)
        state = document.state
        if live is not None and live.halted and state == "running":
            state = live.halted
        waiting = sorted(live.waiting) if live is not None else []
        if state == "running" and waiting:
            state = (
                "waiting" if live is not None and live.graph is not None and not live.graph.active else state
            )
        return {
            "id": document.id,
            "job": document.job,
            "agent": document.agent,
            "owner": document.owner,
            "pack": document.pack,
            "state": state,
            "started_us": document.started_us,
            "ended_us": document.ended_us,
            "trigger": document.trigger,
            "failed": document.failed,
            "cards": waiting,
        }

    def snapshot(self, run: str) -> list[dict[str, Any]]:
        """Return the runs to watch, with their nodes: the named one, else all that have not ended."""
        found = [self._desk.engine.document(run)] if run else self._desk.engine.documents()
        return [{**self.row(one), "nodes": self.nodes(one.id)} for one in found if run or one.state in ALIVE]

    def nodes(self, run: str) -> list[dict[str, Any]]:
        """Return the plan's nodes of a live run, in order, with how many items stand where."""
        live = self._desk.engine.live(run)
        if live is None or live.graph is None:
            return []
        return [
            {**state.summary(), "needs": list(state.node.upstream)} for state in live.graph.nodes.values()
        ]

    def whole(self, run: str) -> dict[str, Any]:
        """Return everything that people may see of a run."""
        document = self._desk.engine.document(run)
        seen = _Seen()
        for entry in self._desk.rooms.store.entries_of_run(run):
            self._take(seen, entry)
        waiting = [card for card in self._desk.rooms.cards.waiting(self._desk.now_us()) if card.run == run]
        return {
            **self.row(document),
            "policy_digest": document.policy_digest,
            "job_digest": document.job_digest,
            "message": seen.message,
            "entries": seen.entries,
            "first_index": seen.first,
            "last_index": seen.last,
            "plan": self.nodes(run) or seen.plan,
            "steps": list(seen.steps.values()),
            "actions": list(seen.actions.values())[:MAX_ACTIONS],
            "more_actions": max(0, len(seen.actions) - MAX_ACTIONS),
            "refusals": seen.refusals[:MAX_ACTIONS],
            "cards": [card.id for card in waiting],
            "decisions": seen.decisions,
            "bill": self.bill(run),
            "result": self._result(document),
        }

    def bill(self, run: str) -> dict[str, Any]:
        """Return what a run cost."""
        bill = self._desk.rooms.budget.bill(run, self._desk.now_us())
        return {
            "run": bill.run,
            "job": bill.job,
            "agent": bill.agent,
            "owner": bill.owner,
            "spent": _cost(bill.spent),
            "reserved": _cost(bill.reserved),
            "elapsed_us": bill.elapsed_us,
            "currency": bill.currency,
            "closed": bill.closed,
        }

    def _result(self, document: RunDocument) -> Any:
        if document.result_index < 0:
            return None
        try:
            return decode(self._desk.house.records.value(document.result_index).data)
        except FreeholdError as error:
            return {"problem": error.message}

    def _private(self, entry: Entry) -> dict[str, Any]:
        try:
            plain = self._desk.rooms.ledger.open_payload(entry)
            value = decode(plain) if plain is not None else {}
        except FreeholdError:
            return {}
        return value if isinstance(value, dict) else {}

    def _take(self, seen: "_Seen", entry: Entry) -> None:
        draft = entry.draft
        fields = bodies.decode(draft.body)
        seen.entries += 1
        seen.first = entry.index if seen.first < 0 else seen.first
        seen.last = entry.index
        if draft.kind is EntryKind.NOTE:
            head = fields.get("head", {})
            self._take_note(seen, entry, {**head, **fields} if isinstance(head, dict) else fields)
        elif draft.kind is EntryKind.REFUSAL:
            said = self._private(entry)
            seen.refusals.append(
                {
                    "index": entry.index,
                    "node": draft.node,
                    "item": draft.item,
                    "tool": fields.get("tool", ""),
                    "code": fields.get("code", ""),
                    "message": said.get("message", ""),
                    "remedy": said.get("remedy", ""),
                }
            )
        elif draft.ordinal == 0:
            self._take_step(seen, entry, fields)
        else:
            _take_action(seen, entry, fields)

    def _take_note(self, seen: "_Seen", entry: Entry, fields: dict[str, Any]) -> None:
        kind = str(fields.get("t", "")).removeprefix("note:")
        if kind == "run.ended":
            seen.message = str(self._private(entry).get("message", ""))
        elif kind.startswith("card."):
            seen.decisions.append(
                {
                    "index": entry.index,
                    "what": kind,
                    "card": fields.get("card", ""),
                    "by": fields.get("by", ""),
                    "at_us": fields.get("at", 0),
                }
            )

    def _take_step(self, seen: "_Seen", entry: Entry, fields: dict[str, Any]) -> None:
        draft = entry.draft
        if draft.node == PLAN_NODE:
            if draft.kind is EntryKind.RESULT and draft.status == "done":
                seen.plan = self._plan(entry)
            return
        row = seen.steps.setdefault(draft.node, {"node": draft.node, "started": 0, "cpu_us": 0})
        if draft.kind is EntryKind.INTENT:
            row["started"] += 1
            return
        row[draft.status] = row.get(draft.status, 0) + 1
        row["cpu_us"] += draft.spent.cpu_us if draft.spent is not None else 0

    def _plan(self, entry: Entry) -> list[dict[str, Any]]:
        try:
            planned = decode(self._desk.house.records.value(entry.index).data)
            plan = planned.get("plan", planned)
            return [
                {
                    "node": node["id"],
                    "needs": [*node.get("needs", []), *([node["each"]] if node.get("each") else [])],
                }
                for node in plan["nodes"]
            ]
        except (FreeholdError, AttributeError, KeyError, TypeError):
            return []


class _Seen:
    """What was gathered from a run's entries so far."""

    def __init__(self) -> None:
        self.entries = 0
        self.first = -1
        self.last = -1
        self.message = ""
        self.plan: list[dict[str, Any]] = []
        self.steps: dict[str, dict[str, Any]] = {}
        self.actions: dict[str, dict[str, Any]] = {}
        self.refusals: list[dict[str, Any]] = []
        self.decisions: list[dict[str, Any]] = []


def _take_action(seen: _Seen, entry: Entry, fields: dict[str, Any]) -> None:
    draft = entry.draft
    row = seen.actions.setdefault(
        draft.action,
        {
            "id": draft.action,
            "node": draft.node,
            "item": draft.item,
            "tool": "",
            "status": "open",
            "attempts": 0,
        },
    )
    if draft.kind is EntryKind.INTENT:
        row |= {
            "tool": fields.get("tool", ""),
            "category": fields.get("cat", ""),
            "intent_index": entry.index,
            "approver": fields.get("approver", ""),
            "card": fields.get("card", ""),
            "at_us": fields.get("at", 0),
            "status": "open",
            "attempts": draft.attempt,
            "rules": fields.get("rules", []),
        }
    else:
        row |= {"status": draft.status, "result_index": entry.index, "by": fields.get("by", "")}
        row["cost"] = _cost(draft.spent or Cost())


def _cost(cost: Cost) -> dict[str, int]:
    return dict(zip(("money_micro", "tokens", "actions", "cpu_us"), cost_row(cost), strict=True))
