"""The people's door: the local socket of an estate, its verbs, and the client that the commands use.

Imports nothing by itself, so that a command that only asks a question loads no kernel.
"""

__all__: list[str] = []
