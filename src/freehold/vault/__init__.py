"""Where secrets and signing keys live: a process of its own, which hands one secret to one courier for one permit.

The daemon starts it and never imports it: ``python -m freehold.vault``.
"""

__all__: list[str] = []
