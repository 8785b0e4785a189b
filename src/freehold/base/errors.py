"""The error tree of the house; every package may raise from it and no other exception crosses a border.

FreeholdError
├── BadInput        the caller's words, file or setting are wrong          exit 2
│   └── NotFound    what was named does not exist, or not uniquely         exit 2
├── Refused         the gate said no: authority, flow, budget, freeze      exit 3
│   └── Diverged    the same action id came with another digest            exit 3
├── Unavailable     daemon, store, courier not reachable or stopped        exit 4
│   ├── StoreFailed a commit failed: the gate stops until state is reread  exit 4
│   └── TimedOut    a stated time limit passed                             exit 4
├── ProtocolError   the other process broke the wire's rules               exit 5
├── Corrupt         stored bytes do not match their proof                  exit 6
└── Internal        a bug in Freehold itself                               exit 70
"""

from typing import ClassVar


class FreeholdError(Exception):
    """A failure with a stable code, one clear sentence, and the remedy.

    ``code`` is stable across releases and made of lower-case words joined by dots.
    """

    default_code: ClassVar[str] = "freehold"
    exit_code: ClassVar[int] = 70
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, remedy: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.code = code or self.default_code

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()

    def problem(self) -> dict[str, object]:
        """Return the error as an RFC 9457 problem object (``type``, ``title``, ``status``, ``detail``)."""
        return {
            "type": f"urn:freehold:error:{self.code}",
            "title": self.message,
            "status": self.http_status,
            "detail": self.remedy,
            "code": self.code,
            "exit": self.exit_code,
        }


class BadInput(FreeholdError):
    """What the caller gave is wrong; nothing was done."""

    default_code = "input"
    exit_code = 2
    http_status = 400


class NotFound(BadInput):
    """What was named does not exist, or a short id fits more than one thing."""

    default_code = "input.not-found"
    http_status = 404


class Refused(FreeholdError):
    """The gate said no; the message says which stage, the remedy what would have allowed it."""

    default_code = "refused"
    exit_code = 3
    http_status = 403


class Diverged(Refused):
    """An action id came again with another digest: the run is not what it was."""

    default_code = "refused.diverged"
    http_status = 409


class Unavailable(FreeholdError):
    """Something that is needed is not reachable now; nothing accepted is lost."""

    default_code = "unavailable"
    exit_code = 4
    http_status = 503


class StoreFailed(Unavailable):
    """A commit failed (disk full, lock lost, connection gone); the gate stops until state is read again."""

    default_code = "unavailable.store"


class TimedOut(Unavailable):
    """A stated time limit passed."""

    default_code = "unavailable.timeout"
    http_status = 504


class ProtocolError(FreeholdError):
    """The process at the other end broke the rules of the wire; its channel is closed."""

    default_code = "protocol"
    exit_code = 5


class Corrupt(FreeholdError):
    """Stored bytes do not match what was promised about them."""

    default_code = "corrupt"
    exit_code = 6


class Internal(FreeholdError):
    """A bug in Freehold itself."""

    default_code = "internal"
    exit_code = 70
