"""The way in for programs from elsewhere: HTTP on this machine's own address, one token an agent, MCP beside it.

Loaded when an estate has its first agent from elsewhere; ``freehold.control.outside`` opens and closes it.
"""

__all__: list[str] = []
