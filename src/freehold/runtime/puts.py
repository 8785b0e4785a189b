"""What an effect says of a file that it put somewhere, so that anybody can see the change and take it back.

The RESULT of a tool in ``PUTS_FILES`` is a ``FilePut``, with further ones under ``also``. What lay there before is
kept as an artifact of the run: ``Toolbox.keep`` the bytes, name the artifact as ``kept``.
"""

from typing import Any, Final

import msgspec

from freehold.base import Json, digest

PUTS_FILES: Final = frozenset(
    {"outbox.write", "mail.send", "files.write", "files.append", "files.move", "files.delete"}
)
"""The tools of which a result is read so; another's result may be a stranger's word."""


class FilePut(msgspec.Struct, frozen=True, omit_defaults=True):
    """One file that an effect made, replaced or removed.

    ``folder`` is the folder of a source that the job may change and ``file`` the path inside; without a ``folder``,
    ``file`` is the whole path of a file in the outbox. ``digest`` is of what lies there now, "" for a file that was
    removed; ``before`` of what was there, "" for nothing, and ``kept`` the artifact with those bytes.
    """

    digest: str
    file: str
    size: int
    folder: str = ""
    before: str = ""
    kept: str = ""

    def value(self) -> dict[str, Json]:
        """Return it as the value of a RESULT."""
        found: dict[str, Json] = msgspec.to_builtins(self)
        return found


def put_of(
    file: str, data: bytes | None, *, folder: str = "", before: bytes | None = None, kept: str = ""
) -> FilePut:
    """Return what tells of a file that now holds ``data`` (None: removed) and held ``before`` (None: was not there)."""
    return FilePut(
        "" if data is None else digest(data),
        file,
        len(data or b""),
        folder,
        "" if before is None else digest(before),
        kept,
    )


def read_puts(value: Any) -> list[FilePut]:
    """Return all that a RESULT's value tells of files."""
    also = value.get("also", []) if isinstance(value, dict) else []
    found = [read_put(one) for one in (value, *(also if isinstance(also, list) else ()))]
    return [put for put in found if put is not None]


def read_put(value: Any) -> FilePut | None:
    """Return what a RESULT's value tells; None where it tells of no file."""
    if not isinstance(value, dict):
        return None
    known = {name: value[name] for name in FilePut.__struct_fields__ if name in value}
    try:
        return msgspec.convert(known, FilePut)
    except msgspec.ValidationError:
        return None
