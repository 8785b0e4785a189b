"""Walls around processes that are not trusted: levels with names, profiles, and the makers of cells.

Imports only ``base`` and the standard library, so that every tower may stand behind it. Which level a machine
reaches is found out in ``freehold.sandbox.probe``.
"""

from freehold.sandbox.enter import enter_command, module_command
from freehold.sandbox.profile import NOT_HELD, Level, Limits, Profile, parse_level, read_profile
from freehold.sandbox.sandbox import Cell, Sandbox, environment_inside

__all__ = [
    "NOT_HELD", "Cell", "Level", "Limits", "Profile", "Sandbox", "enter_command", "environment_inside",
    "module_command", "parse_level", "read_profile",
]  # fmt: skip
