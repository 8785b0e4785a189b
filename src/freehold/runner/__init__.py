"""The processes in which strangers' code runs, and the fork server that makes them.

The daemon starts them and never imports them: ``python -m freehold.runner.forkserver``.
"""

__all__: list[str] = []
