"""The ways out of the house: one process for one mail server or HTTP host, on sockets that the daemon opened.

The daemon starts them and never imports them: ``python -m freehold.courier smtp``.
"""

__all__: list[str] = []
