"""Fakes and foes for tests: servers that count, packs that attack. Public, and nothing imports it."""

__all__: list[str] = []
