"""What the demo stands on: its folder, the commands that it runs as a person would, and its processes and their end.

Everything goes through `freehold` as a process of its own, or through the same socket that the commands use.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final

from freehold.base.errors import BadInput, FreeholdError, TimedOut, Unavailable
from freehold.control.client import Client
from freehold.control.estate import FILE_NAME, Estate, open_estate
from freehold.daemon.lock import holder
from freehold.wire import child

MARK: Final = "made-by-freehold-demo"
SERVER_READY_S: Final = 30.0
STOP_S: Final = 10.0
MAX_SAID: Final = 400


class Said:
    """What a command printed, and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def value(self) -> Any:
        """Return its answer, where `--json` was asked for."""
        return json.loads(self.out)


class Stage:
    """One demo's folder and processes. ``end`` stops everything that was started; nothing outlives it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = {**os.environ, "FREEHOLD_ESTATE": str(folder), "FREEHOLD_AS": "anna"}
        self._server: subprocess.Popen[bytes] | None = None
        self._making: subprocess.Popen[bytes] | None = None

    # ---- the folder --------------------------------------------------------------------------------------

    @property
    def estate(self) -> Estate:
        """The demo's estate."""
        return open_estate(self.folder)

    @property
    def mail_folder(self) -> Path:
        """Where the mail server keeps what it took."""
        return self.folder / "mail"

    def check_free(self, program: str) -> None:
        """Raise BadInput where something lies in the folder, saying what and how it is cleaned."""
        if not self.folder.exists() or (self.folder.is_dir() and not any(self.folder.iterdir())):
            return
        if self.is_ours():
            raise BadInput(
                f"An earlier demo lies in {self.folder}.",
                remedy=f"Remove it: {program} demo --clean{self.option()}; or take another: --folder DIR",
                code="input.demo-exists",
            )
        raise BadInput(
            f"{self.folder} is there already and is no demo's.", remedy="Take another: --folder DIR"
        )

    def option(self) -> str:
        """Return the option that names this folder, where it is not the usual one."""
        return "" if self.folder == Path.cwd() / "freehold-demo" else f" --folder {self.folder}"

    def is_ours(self) -> bool:
        """Whether a demo made the folder."""
        return (self.folder / MARK).is_file()

    def mark(self) -> None:
        """Note that a demo made the folder, so that `--clean` may remove it."""
        (self.folder / MARK).write_text("Made by `freehold demo`; `freehold demo --clean` removes it all.\n")

    def clean(self) -> bool:
        """Stop the demo's daemon and remove the folder; False where there is none. Raises BadInput for a stranger's."""
        if not self.folder.exists():
            return False
        if not self.is_ours():
            raise BadInput(f"{self.folder} is no demo's and stays.", remedy="Remove it by hand.")
        self.end()
        shutil.rmtree(self.folder)
        return True

    # ---- commands ----------------------------------------------------------------------------------------

    def freehold(self, *words: str, fails: bool = False) -> Said:
        """Run a command to its end and return what it printed; raises Unavailable when it fails unasked."""
        done = subprocess.run(
            self._command(words), env=self._environment, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, encoding="utf-8", errors="replace", check=False,
        )  # fmt: skip
        if done.returncode == 130:
            raise KeyboardInterrupt
        if (done.returncode != 0) != fails:
            said = (done.stderr or done.stdout).strip().removeprefix("freehold: ")[:MAX_SAID]
            raise Unavailable(f"`freehold {' '.join(words)}` ended with {done.returncode}: {said}")
        return Said(done.returncode, done.stdout, done.stderr)

    def at_the_terminal(self, *words: str) -> int:
        """Run a command with the person's own terminal; return how it ended."""
        code = subprocess.run(self._command(words), env=self._environment, check=False).returncode
        if code in (130, -signal.SIGINT):
            raise KeyboardInterrupt
        return code

    @staticmethod
    def _command(words: Sequence[str]) -> list[str]:
        return child.command("freehold.cli.main", *words)

    def client(self) -> Client:
        """Return a connection to the demo's daemon."""
        return Client(self.folder / "control.sock")

    # ---- processes ---------------------------------------------------------------------------------------

    def make_samples(self, folder: Path) -> None:
        """Begin to draw the receipts, in a process of their own."""
        folder.mkdir(mode=0o700)
        self._making = _start("freehold.packs.expense_audit.samples", str(folder))

    def samples(self) -> list[dict[str, Any]]:
        """Wait until they are drawn and return what each shows."""
        assert self._making is not None
        out, _ = self._making.communicate(timeout=120)
        if self._making.returncode != 0:
            raise Unavailable("The receipts could not be drawn.", remedy="Look: freehold doctor")
        made: list[dict[str, Any]] = json.loads(out)
        return made

    def serve_mail(self) -> int:
        """Start the mail server and return its port."""
        self.mail_folder.mkdir(mode=0o700)
        self._server = _start("freehold.testing.smtp", str(self.mail_folder), "0", str(os.getpid()))
        assert self._server.stdout is not None
        ready, _, _ = select.select([self._server.stdout], [], [], SERVER_READY_S)
        line = self._server.stdout.readline().strip() if ready else b""
        if not line.isdigit():
            raise Unavailable("The demo's mail server did not start.", remedy="Look: freehold doctor")
        return int(line)

    def taken(self) -> list[dict[str, Any]]:
        """Return what the mail server wrote down of each mail that it took."""
        try:
            lines = (self.mail_folder / "taken.jsonl").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines]

    def kill_daemon(self) -> int:
        """Send the daemon SIGKILL and return which process it was, once it is gone."""
        pid = self._daemon()
        if pid is None:
            raise Unavailable("The demo's daemon does not run.", remedy="Start it again: freehold up")
        with _watched(pid) as gone:
            os.kill(pid, signal.SIGKILL)
            gone(STOP_S)
        return pid

    def _daemon(self) -> int | None:
        """Return the process that serves the demo's estate."""
        return holder(self.folder / "daemon.lock") or None

    def end(self) -> None:
        """Stop the daemon, by force where it does not listen, and every other process of the demo."""
        with _uninterrupted():
            for process in (self._making, self._server):
                if process is not None:
                    _end(process)
            self._making = self._server = None
            if (self.folder / FILE_NAME).is_file():
                self._stop_daemon()

    def _stop_daemon(self) -> None:
        pid = self._daemon()
        if pid is None:
            return
        with _watched(pid) as gone:
            with contextlib.suppress(FreeholdError):
                with self.client() as client:
                    client.call("estate.stop", wait_s=STOP_S)
                gone(STOP_S)
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            gone(STOP_S)


@contextlib.contextmanager
def _watched(pid: int) -> Iterator[Callable[[float], None]]:
    """Yield what waits until process ``pid`` has ended, and raises TimedOut where it does not."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        yield lambda limit_s: None
        return

    def gone(limit_s: float) -> None:
        if not select.select([handle], [], [], limit_s)[0]:
            raise TimedOut("The demo's daemon does not end.", remedy=f"Kill it by hand: process {pid}.")

    try:
        yield gone
    finally:
        os.close(handle)


def _start(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        child.command(module, *arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        env=child.clean_environment(dict(os.environ)), start_new_session=True,
    )  # fmt: skip


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    stream: IO[bytes] | None = process.stdout
    if stream is not None:
        stream.close()


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let no second Ctrl-C leave a process behind."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def program() -> str:
    """Return how this program is called from here: `freehold`, or its path where it is not on the search path."""
    own = Path(sys.argv[0])
    if own.name != "freehold":
        return "freehold"
    found = shutil.which("freehold")
    if found is not None and Path(found).resolve() == own.resolve():
        return "freehold"
    with contextlib.suppress(ValueError):
        return str(own.absolute().relative_to(Path.cwd()))
    return str(own)
