"""AgentDojo without the clients of four model providers, which its package of pipelines loads: a replay asks no model.

To be imported before anything of AgentDojo's that works with tasks; it saves five of six seconds of CPU.
"""

import importlib.util
import sys
from types import ModuleType

PIPELINES = "agentdojo.agent_pipeline"


def leave_out_clients() -> None:
    """Put the bare package, whose modules load one by one, in the place of the one that loads everything."""
    found = importlib.util.find_spec("agentdojo")
    if PIPELINES in sys.modules or found is None or not found.submodule_search_locations:
        return
    package = ModuleType(PIPELINES)
    package.__path__ = [f"{found.submodule_search_locations[0]}/agent_pipeline"]
    client = ModuleType(f"{PIPELINES}.llms.google_llm")
    client.EMPTY_FUNCTION_NAME = ""  # type: ignore[attr-defined] # the name of it that the loop of models asks for
    for module in (package, ModuleType(f"{PIPELINES}.llms"), client):
        sys.modules[module.__name__] = module
