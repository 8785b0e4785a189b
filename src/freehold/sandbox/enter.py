"""The door for any program: ``python -m freehold.sandbox PROFILE KEEP COMMAND ...`` runs it behind walls.

``PROFILE`` is what ``Profile.text`` gives, ``KEEP`` the descriptors that the program may have beside the standard
ones, with commas. This process stays as its parent, clears up after it and ends as it ended; when it is killed, or
the process that started it ends, the program ends too.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from freehold.base import FreeholdError
from freehold.sandbox import kernel
from freehold.sandbox.profile import Level, Profile, read_profile
from freehold.sandbox.sandbox import Cell, Sandbox, environment_inside

CANNOT = 125
"""The exit code where the walls could not be built; the reason is on standard error."""


_FIND: Final = """\
import importlib.util, runpy, sys
module, place = sys.argv[1:3]
del sys.argv[1:3]
spec = importlib.util.spec_from_file_location(
    "freehold", place + "/__init__.py", submodule_search_locations=[place])
sys.modules["freehold"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["freehold"])
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
"""Runs a module of ours where our package may be read and the folder above it may not be listed: a source tree's."""


def module_command(module: str, *words: str) -> list[str]:
    """Return the command line that runs a module of ours behind walls, with ``words`` as its arguments."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return [sys.executable, "-P", "-c", _FIND, module, package, *words]


def enter_command(profile: Profile, argv: Sequence[str], keep: Sequence[int] = ()) -> list[str]:
    """Return the command line that runs ``argv`` behind the walls of ``profile``, for ``subprocess``.

    Descriptors in ``keep`` have to be passed on (``pass_fds``) and keep their numbers.
    """
    kept = ",".join(map(str, keep))
    return [sys.executable, "-P", "-m", "freehold.sandbox", profile.text(), kept, *argv]


def run(profile: Profile, keep: Sequence[int], argv: Sequence[str]) -> int:
    """Run ``argv`` to its end and return its exit code; 128 and the signal where one ended it.

    SIGINT and SIGTERM end it by force. ``keep`` is closed in this process, so that the program alone holds it.
    """
    sandbox = Sandbox(profile)
    sandbox.open()
    cell = sandbox.cell(os.getpid())
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _become(sandbox, cell, parent, keep, argv)
    end = child
    try:
        cell.forked()
        for descriptor in keep:
            os.close(descriptor)
        if profile.level is Level.NAMESPACES:
            end = sandbox.process_of(cell) or child  # bubblewrap ends with the process that it made
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):
            os.kill(end, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        sandbox.leave(cell)
    return status if status >= 0 else 128 - status


def _become(sandbox: Sandbox, cell: Cell, parent: int, keep: Sequence[int], argv: Sequence[str]) -> NoReturn:
    try:
        environment = environment_inside(os.environ)
        room = sandbox.enter(cell, parent, argv, keep, environment)
        if sandbox.profile.level is Level.NONE:
            environment = dict(os.environ)
        elif room:
            os.chdir(room)
        for descriptor in keep:
            os.set_inheritable(descriptor, True)
        os.execvpe(argv[0], list(argv), environment)
    except OSError as error:
        print(f"{argv[0]} cannot be run: {error.strerror or error}.", file=sys.stderr)
    finally:
        os._exit(CANNOT)


def main() -> int:
    """Run the command that the arguments say."""
    kernel.die_with(os.getppid())
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    profile = read_profile(sys.argv[1])
    keep = [int(word) for word in sys.argv[2].split(",") if word]
    try:
        return run(profile, keep, sys.argv[3:])
    except FreeholdError as error:
        print(error.message, file=sys.stderr)
        return CANNOT
