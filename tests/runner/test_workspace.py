"""Paths that a runner hands over: inside the folder, a plain file with one name, the same from end to end."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.base import BadInput
from freehold.runtime.workspace import files_inside, open_inside, place_inside, read_inside

LIMIT = 1 << 20


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "plain").write_bytes(b"mine")
    (folder / "deep" / "er" / "file").write_bytes(b"deep")
    (tmp_path / "outside").write_bytes(b"secret")
    return folder


@pytest.fixture
def folder(inside: Path) -> Iterator[int]:
    descriptor = os.open(inside, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("walk", [False, True])
@pytest.mark.parametrize(("path", "content"), [("plain", b"mine"), ("deep/er/file", b"deep")])
def test_a_file_inside_is_opened(folder: int, path: str, content: bytes, walk: bool) -> None:
    descriptor = open_inside(folder, path, walk=walk)
    assert os.read(descriptor, 100) == content
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)
    assert read_inside(folder, path, LIMIT) == content


@pytest.mark.parametrize("walk", [False, True])
@pytest.mark.parametrize(
    "path",
    [
        "", ".", "..", "/", "../outside", "deep/../../outside", "/etc/passwd", "deep//er/file", "./plain",
        "plain/", "deep", "deep/er", "gone", "plain/below", "a\0b", "x" * 2_000, "\ud800", "deep/er/..",
    ],
)  # fmt: skip
def test_a_path_that_is_no_file_inside_is_refused(folder: int, path: str, walk: bool) -> None:
    with pytest.raises(BadInput):
        open_inside(folder, path, walk=walk)


@pytest.mark.parametrize("walk", [False, True])
@pytest.mark.parametrize(
    "path", ["link", "broken", "absolute", "linked/outside", "linked/plain", "hard", "loop"]
)
def test_a_link_is_refused_wherever_it_stands(inside: Path, folder: int, path: str, walk: bool) -> None:
    (inside / "link").symlink_to("plain")
    (inside / "broken").symlink_to("nowhere")
    (inside / "absolute").symlink_to(inside.parent / "outside")
    (inside / "linked").symlink_to("..")
    (inside / "loop").symlink_to("loop")
    os.link(inside.parent / "outside", inside / "hard")
    with pytest.raises(BadInput) as raised:
        open_inside(folder, path, walk=walk)
    assert raised.value.code == "input.path"


@pytest.mark.parametrize("walk", [False, True])
@pytest.mark.parametrize("path", ["pipe", "socket", "null", "self/environ"])
def test_what_is_not_a_file_is_refused_without_a_wait(
    inside: Path, folder: int, path: str, walk: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(inside / "pipe")
    monkeypatch.chdir(inside)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        if os.geteuid() == 0:
            os.mknod(inside / "null", 0o020666, os.makedev(1, 3))
        (inside / "self").symlink_to("/proc/self")
        with pytest.raises(BadInput):
            open_inside(folder, path, walk=walk)


def test_no_descriptor_is_left_behind_by_a_refusal(inside: Path, folder: int) -> None:
    os.mkfifo(inside / "pipe")
    before = os.listdir("/proc/self/fd")
    for path in ("pipe", "deep", "gone", "../outside", "deep/er/gone"):
        for walk in (False, True):
            with pytest.raises(BadInput):
                open_inside(folder, path, walk=walk)
    assert os.listdir("/proc/self/fd") == before


def test_a_file_over_the_bound_is_refused(inside: Path, folder: int) -> None:
    (inside / "large").write_bytes(b"x" * 101)
    assert len(read_inside(folder, "large", 101)) == 101
    with pytest.raises(BadInput, match="101 bytes; 100 is the most"):
        read_inside(folder, "large", 100)


def test_a_file_that_changes_while_it_is_read_is_found_out(inside: Path, folder: int) -> None:
    """Two looks and the file's times tell; a writer that stands still in the middle nobody can tell."""
    path = inside / "changing"
    path.write_bytes(b"a" * 300_000)
    over = threading.Event()

    def write() -> None:
        letters = b"abcdefgh"
        with path.open("r+b") as file:
            number = 0
            while not over.is_set():
                number += 1
                file.seek(0)
                file.write(letters[number % 8 : number % 8 + 1] * 300_000)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(BadInput, match="changed while it was read"):
            read_again_and_again(folder)
    finally:
        over.set()
        writer.join()


def read_again_and_again(folder: int) -> None:
    while True:
        assert len(read_inside(folder, "changing", LIMIT)) == 300_000


def test_files_are_listed_without_links_and_in_order(inside: Path, folder: int) -> None:
    (inside / "a-link").symlink_to("plain")
    (inside / "deep" / "up").symlink_to("../..")
    os.mkfifo(inside / "pipe")
    assert files_inside(folder) == ["deep/er/file", "plain"]
    with pytest.raises(BadInput, match="more than 1 files"):
        files_inside(folder, limit=1)


def test_a_file_is_placed_read_only_and_again(inside: Path, folder: int) -> None:
    for content in (b"one", b"two"):
        assert place_inside(folder, "sources", "a.txt", content) == "sources/a.txt"
        assert (inside / "sources" / "a.txt").read_bytes() == content
    assert (inside / "sources" / "a.txt").stat().st_mode & 0o777 == 0o400


def test_a_file_is_never_placed_through_a_link(inside: Path, folder: int) -> None:
    outside = inside.parent / "outside"
    (inside / "sources").symlink_to("..")
    with pytest.raises(BadInput):
        place_inside(folder, "sources", "outside", b"overwritten")
    (inside / "real").mkdir()
    (inside / "real" / "a").symlink_to(outside)
    place_inside(folder, "real", "a", b"placed")
    assert outside.read_bytes() == b"secret"
    assert not (inside / "real" / "a").is_symlink()
    for subfolder, name in (("..", "a"), ("real", "../a"), ("a/b", "c"), ("", "a")):
        with pytest.raises(BadInput):
            place_inside(folder, subfolder, name, b"")


@given(path=st.text(alphabet="./\0abl\ud800é", max_size=12), walk=st.booleans())
def test_no_path_of_any_letters_leads_out(
    tmp_path_factory: pytest.TempPathFactory, path: str, walk: bool
) -> None:
    root = tmp_path_factory.getbasetemp() / "any"
    (root / "in" / "a").mkdir(parents=True, exist_ok=True)
    (root / "b").write_bytes(b"secret")
    (root / "in" / "b").write_bytes(b"mine")
    if not (root / "in" / "l").is_symlink():
        (root / "in" / "l").symlink_to("..")
    folder = os.open(root / "in", os.O_RDONLY)
    try:
        descriptor = open_inside(folder, path, walk=walk)
        assert os.read(descriptor, 10) == b"mine"
        os.close(descriptor)
    except BadInput:
        return
    finally:
        os.close(folder)
