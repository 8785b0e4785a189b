"""The verbs of the control socket: what the daemon does when a person asks. One module a group of nouns."""

__all__: list[str] = []
