"""The daemon: one process that holds the gate of an estate, put together here and nowhere else."""

__all__: list[str] = []
