"""Changes to files in a folder that belongs to people: one whole file at a time, and only over what was seen before.

Every folder on the way is opened without following a link. A file is put in place by a rename, so nobody finds half
of one; a change whose file is not as it was expected changes nothing. Names that begin with a dot are not touched.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from typing import Final

from freehold.base import BadInput, Refused
from freehold.runtime.replaced import replace_in
from freehold.runtime.workspace import MAX_PATH, give_to_owner, read_inside

MAX_FILE: Final = 16 << 20
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def plain_path(text: object) -> str:
    """Return a path that may be changed or shown; raises BadInput for one that leaves the folder or is hidden."""
    path = text if isinstance(text, str) else ""
    parts = path.split("/")
    if not path or len(path) > MAX_PATH or not path.isprintable() or "\\" in path:
        raise BadInput(
            "The path cannot be a file's name.",
            remedy="Write one such as `notes/today.md`, in letters that print.",
        )
    if any(
        not part or part.startswith(".") or part != part.strip() or len(part.encode()) > 255 for part in parts
    ):
        raise BadInput(
            f"The path {path[:200]!r} is not a plain path.",
            remedy="Name a file inside the folder: no `..`, no names that begin with a dot, no spaces around them.",
        )
    return path


def digest_inside(folder: int, path: str) -> str:
    """Return the SHA-256 of a file, "" where there is none; raises BadInput for what is no plain file."""
    data = contents_inside(folder, path)
    return "" if data is None else hashlib.sha256(data).hexdigest()


def contents_inside(folder: int, path: str) -> bytes | None:
    """Return the contents of a file, None where there is none; raises BadInput for what is no plain file."""
    try:
        with _parent(folder, path) as (parent, name):
            os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _cannot(path, error) from None
    return read_inside(folder, path, MAX_FILE)


def write_inside(folder: int, path: str, data: bytes, before: str) -> None:
    """Put ``data`` in place of the file whose digest is ``before`` ("" for none yet). Raises Refused, BadInput."""
    with _failing(path), _parent(folder, path, make=True) as (parent, name):
        _expect(folder, path, before)
        if before:
            replace_in(parent, name, data)
        else:  # a file that came there meanwhile is not replaced
            temporary = f".freehold-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
            _forget(parent, temporary)  # of a write that was killed
            try:
                replace_in(parent, temporary, data)
                os.chmod(temporary, 0o644, dir_fd=parent)
                os.link(temporary, name, src_dir_fd=parent, dst_dir_fd=parent, follow_symlinks=False)
            finally:
                _forget(parent, temporary)
        os.fsync(parent)


def remove_inside(folder: int, path: str, before: str) -> None:
    """Remove the file whose digest is ``before``; one that is gone does not matter. Raises Refused, BadInput."""
    if digest_inside(folder, path):
        with _failing(path), _parent(folder, path) as (parent, name):
            _expect(folder, path, before)
            os.unlink(name, dir_fd=parent)
            os.fsync(parent)


def move_inside(folder: int, path: str, to: str, before: str) -> None:
    """Give the file whose digest is ``before`` another name, which no file may have. Raises Refused, BadInput."""
    with _failing(path), _parent(folder, path) as (old, name), _parent(folder, to, make=True) as (new, other):
        if not _same_file(old, name, new, other):  # else it was broken off in between
            if not digest_inside(folder, path) and digest_inside(folder, to) == before:
                return
            _expect(folder, path, before)
            os.link(name, other, src_dir_fd=old, dst_dir_fd=new, follow_symlinks=False)
        os.fsync(new)
        os.unlink(name, dir_fd=old)
        os.fsync(old)


def _same_file(old: int, name: str, new: int, other: str) -> bool:
    try:
        first = os.stat(name, dir_fd=old, follow_symlinks=False)
        second = os.stat(other, dir_fd=new, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(first, second) and (old, name) != (new, other)


def _made(folder: int, name: str) -> bool:
    try:
        os.mkdir(name, 0o755, dir_fd=folder)
    except FileExistsError:
        return False
    return True


def _forget(folder: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _expect(folder: int, path: str, before: str) -> None:
    if digest_inside(folder, path) != before:
        raise changed(path)


def changed(path: str) -> Refused:
    """Return the refusal of a change to a file that is not as it was when it was read."""
    return Refused(
        f"The file {path!r} is not as it was when it was read.",
        remedy="Read it again, and decide anew.",
        code="refused.changed",
    )


@contextlib.contextmanager
def _failing(path: str) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise changed(path) from None
    except OSError as error:
        raise _cannot(path, error) from None


@contextlib.contextmanager
def _parent(folder: int, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
    """Yield the folder that a file lies in, opened without following a link, and its name there."""
    *above, name = plain_path(path).split("/")
    current = os.dup(folder)
    try:
        for part in above:
            made = make and _made(current, part)
            following = os.open(part, _FOLDER, dir_fd=current)
            if made:
                give_to_owner(following, os.fstat(current).st_uid)
            os.close(current)
            current = following
        yield current, name
    finally:
        os.close(current)


def _cannot(path: str, error: OSError) -> BadInput:
    return BadInput(
        f"{path!r} cannot be changed or read: {error.strerror}.",
        remedy="Name a file inside the folder, without links, that the daemon's user may write.",
        code="input.path",
    )
