"""All that a pack may import of Freehold: steps, plans, actions, artifacts, progress, questions.

    from freehold.sdk import Context, Job, Pack, Plan

    pack = Pack("greeter", version="1.0")

    @pack.step
    async def greet(ctx: Context, item: str) -> str:
        return f"Hello, {item}"

    @pack.planner
    def plan(job: Job) -> Plan:
        ...

``freehold.sdk.testing`` runs a pack without a daemon. The SDK knows nothing of gate, store or keys.
"""

from freehold.base import BadInput, Refused
from freehold.sdk.context import BlockingContext, Context
from freehold.sdk.errors import ActionFailed, StepFailed
from freehold.sdk.pack import Job, Pack
from freehold.sdk.plan import Node, Plan
from freehold.sdk.values import Artifact, Outcome, Question, Reading, SourceFile

__all__ = [
    "ActionFailed",
    "Artifact",
    "BadInput",
    "BlockingContext",
    "Context",
    "Job",
    "Node",
    "Outcome",
    "Pack",
    "Plan",
    "Question",
    "Reading",
    "Refused",
    "SourceFile",
    "StepFailed",
]
