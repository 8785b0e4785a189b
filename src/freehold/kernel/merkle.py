"""RFC 6962 Merkle tree arithmetic: hashes, roots, and the checking of proofs. Pure: no store, no files.

The ledger grows a tree with it, and a stranger's machine checks an export with it, so it needs nothing but
the standard library. Hashes are SHA-256, 32 bytes; sizes and indices count leaves from 0.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from freehold.base import BadInput, Corrupt

HASH_SIZE: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

NodeAt = Callable[[int, int], bytes]


def leaf_hash(body: bytes) -> bytes:
    """Return the hash of a leaf: SHA-256(0x00 || body)."""
    return hashlib.sha256(b"\x00" + body).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node: SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Peaks:
    """The frontier of a growing tree: the roots of its perfect subtrees, widest first."""

    __slots__ = ("hashes", "size")

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        if len(hashes) != size.bit_count():
            raise BadInput(f"A tree of {size} leaves has {size.bit_count()} peaks, not {len(hashes)}.")
        self.size = size
        self.hashes = list(hashes)

    def copy(self) -> "Peaks":
        """Return a frontier that grows on its own."""
        return Peaks(self.size, self.hashes)

    def append(self, leaf: bytes) -> None:
        """Take one leaf hash in."""
        hashes, carry = self.hashes, self.size
        while carry & 1:
            leaf = node_hash(hashes.pop(), leaf)
            carry >>= 1
        hashes.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Return the tree's root."""
        if not self.hashes:
            return EMPTY_ROOT
        value = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            value = node_hash(left, value)
        return value


def subtree(node_at: NodeAt, start: int, stop: int) -> bytes:
    """Return MTH(D[start:stop]); ``start`` is a multiple of the smallest power of two >= ``stop - start``.

    ``node_at(height, number)`` gives the root of the perfect subtree of 2**height leaves that begins at leaf
    ``number * 2**height``.
    """
    value = b""
    width = stop - start
    while width:  # the rightmost perfect subtrees first
        height = (width & -width).bit_length() - 1
        width -= 1 << height
        piece = node_at(height, (start + width) >> height)
        value = node_hash(piece, value) if value else piece
    return value or EMPTY_ROOT


def inclusion_path(node_at: NodeAt, index: int, size: int) -> list[bytes]:
    """Return the audit path of leaf ``index`` among ``size`` leaves (RFC 6962, 2.1.1), leaf end first."""
    if not 0 <= index < size:
        raise BadInput(f"There is no entry {index} in a journal of {size}.")
    path: list[bytes] = []
    start, stop = 0, size
    while stop - start > 1:
        split = start + (1 << (stop - start - 1).bit_length() - 1)
        if index < split:
            path.append(subtree(node_at, split, stop))
            stop = split
        else:
            path.append(subtree(node_at, start, split))
            start = split
    path.reverse()
    return path


def consistency_path(node_at: NodeAt, old: int, new: int) -> list[bytes]:
    """Return the proof that the first ``old`` leaves are the beginning of ``new`` (RFC 6962, 2.1.2)."""
    if not 0 <= old <= new:
        raise BadInput(f"A journal of {new} entries cannot continue one of {old}.")
    if old in (0, new):
        return []
    path: list[bytes] = []
    start, stop, whole = 0, new, True
    while old != stop:
        split = start + (1 << (stop - start - 1).bit_length() - 1)
        if old <= split:
            path.append(subtree(node_at, split, stop))
            stop = split
        else:
            path.append(subtree(node_at, start, split))
            start, whole = split, False
    if not whole:
        path.append(subtree(node_at, start, stop))
    path.reverse()
    return path


def check_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Raise Corrupt unless ``path`` proves ``leaf`` at ``index`` under ``root`` (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        raise Corrupt(f"The proof is for entry {index} of a journal of {size}.", code="corrupt.proof")
    place, last, value = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise Corrupt("The proof is longer than the tree is high.", code="corrupt.proof")
        if place & 1 or place == last:
            value = node_hash(sibling, value)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            value = node_hash(value, sibling)
        place >>= 1
        last >>= 1
    if last != 0 or value != root:
        raise Corrupt(f"The proof does not lead from entry {index} to the signed root.", code="corrupt.proof")


def check_consistency(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> None:
    """Raise Corrupt unless ``path`` proves that the newer tree continues the older (RFC 9162, 2.1.4.2)."""
    broken = Corrupt(
        f"The journal of {new} entries does not continue the one of {old}.",
        remedy="One of the two was rewritten; keep both checkpoints as evidence.",
        code="corrupt.consistency",
    )
    if not 0 <= old <= new:
        raise broken
    if old == new or old == 0:
        if path or (old == new and old_root != new_root) or (old == 0 and old_root != EMPTY_ROOT):
            raise broken
        return
    nodes = list(path)
    if old & (old - 1) == 0:  # a perfect tree is its own first node
        nodes.insert(0, old_root)
    if not nodes:
        raise broken
    place, last = old - 1, new - 1
    while place & 1:
        place >>= 1
        last >>= 1
    older = newer = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            raise broken
        if place & 1 or place == last:
            older, newer = node_hash(node, older), node_hash(node, newer)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            newer = node_hash(newer, node)
        place >>= 1
        last >>= 1
    if last != 0 or older != old_root or newer != new_root:
        raise broken
