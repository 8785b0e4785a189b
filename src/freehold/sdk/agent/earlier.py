"""The earlier turns of a conversation, as the next one is shown them: text before its goal, and data as data.

They come by an action, so what strangers wrote in them keeps its label; only what the owner said is trusted, and the
daemon knows that apart from this text. Pure but for that action.
"""

import re
from typing import Any, Final

from freehold.sdk.agent.loop import Voice
from freehold.sdk.context import Context

RECALL: Final = "conversation.recall"
NOW: Final = "⟦now your owner says⟧\n"
_BEGIN: Final = "⟦this conversation so far⟧\n"
_MARK: Final = re.compile(r"⟦(?:now your owner|this conversation)[^⟧]*⟧?")
MAX_RESULT: Final = 4_000
"""How many characters of one earlier result are shown again."""


async def recall(ctx: Context, voice: Voice) -> str:
    """Return what stands before the goal: what was said and done in the conversation so far, the latest of it."""
    found = (await ctx.act(RECALL, {})).value
    return before(list(found["messages"]), voice.context_tokens)


def before(messages: list[dict[str, Any]], context_tokens: int) -> str:
    """Return the text of earlier turns out of the last one's transcript, at most about a quarter of the context."""
    said = "\n".join(line for message in messages if (line := _line(message)))
    limit = max(1_000, context_tokens * 3 // 4)
    if len(said) > limit:
        said = f"(The beginning was left out here: {len(said) - limit:,} characters.)\n{said[-limit:]}"
    return f"{_BEGIN}{said}\n{NOW}"


def _line(message: dict[str, Any]) -> str:
    role, text = message["role"], str(message.get("content", ""))
    if role == "user":
        earlier, mark, goal = text.rpartition(NOW)
        return f"{earlier.removeprefix(_BEGIN)}Owner: {goal}" if mark else f"Owner: {text}"
    text = _MARK.sub("(mark)", text)
    if role == "tool":
        cut = (
            f"\n(cut off here: {len(text) - MAX_RESULT:,} more characters)" if len(text) > MAX_RESULT else ""
        )
        return f"Result: {text[:MAX_RESULT]}{cut}"
    if role != "assistant":
        return ""
    calls = [f"You called {call['name']} {call['arguments']}" for call in message.get("tool_calls") or ()]
    return "\n".join([*([f"You: {text}"] if text else []), *calls])
