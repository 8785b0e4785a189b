"""The commands: what a person types, how the answer looks. Talks to the daemon by its local socket alone."""

__all__: list[str] = []
