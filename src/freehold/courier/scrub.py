"""Takes secrets out of replies, in any common encoding and over the borders of chunks; and finds new ones in them.

Looked for: the text itself, with any of its characters percent-encoded or escaped as JSON and HTML do; reversed;
base64 at each of the three offsets, in both alphabets; hexadecimal digits. A server that transforms a secret in
another way gets it through: nothing here can stop that, see docs/threat-model.md.
"""

import base64
import re
import zlib
from collections.abc import Callable
from typing import Final

PLACEHOLDER: Final = b"[secret]"
FOUND: Final = b"[secret of this reply]"
MAX_INFLATED: Final = 4 << 20
GZIP: Final = b"\x1f\x8b"
_LINE: Final = 64 << 10
_TAIL: Final = 4 << 10
_NAMES: Final = (
    rb"access_token|refresh_token|id_token|auth_token|session_token|token|jwt|api_?key|client_secret|secret|"
    rb"secret_key|password|private_key|session_?id|signature"
)
_FIELD: Final = re.compile(rb'("(?:' + _NAMES + rb')"\s*:\s*")((?:[^"\\]|\\.){8,2000})(?=")', re.IGNORECASE)
_PARAMETER: Final = re.compile(
    rb"([?&](?:x-amz-signature|x-amz-security-token|x-amz-credential|x-goog-signature|x-goog-credential|sig|"
    rb"signature|access_token|token|api_?key|key)=)([^&\s\"'<>\\]{8,2000})",
    re.IGNORECASE,
)
_EXTEND: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=")


class Scrubber:
    """Scrubs a stream: what ``feed`` returns is clean, what it holds back comes with a later call or ``end``."""

    def __init__(self, secrets: tuple[bytes, ...], pattern: "re.Pattern[bytes] | None" = None) -> None:
        forms = [form for secret in secrets if secret for form in _forms(secret)] if pattern is None else []
        self.pattern = pattern or re.compile(b"|".join(forms) or b"(?!)")
        self._reach = 12 * max((len(secret) for secret in secrets), default=1) + 16
        self._held = b""
        self.hits = 0

    def feed(self, data: bytes) -> bytes:
        """Take a chunk and return what is certainly clean."""
        self._held += data
        return self._clean(len(self._held) - self._reach)

    def end(self) -> bytes:
        """Return the rest."""
        return self._clean(len(self._held))

    def clean(self, data: bytes) -> bytes:
        """Return the whole of ``data``, clean."""
        if not self._held and self.pattern.search(data) is None:
            return data
        return self.feed(data) + self.end()

    def text(self, text: str) -> str:
        """Return a sentence, clean."""
        return self.clean(text.encode("utf-8", "replace")).decode("utf-8", "replace")

    def _clean(self, limit: int) -> bytes:
        if limit <= 0:
            return b""
        data, out, at = self._held, [], 0
        for match in self.pattern.finditer(data):
            start, end = match.span()
            if start >= limit:
                break
            while start > at and match.start() - start < 2 and data[start - 1] in _EXTEND:
                start -= 1  # base64 keeps bits of the first and last byte in the characters beside it
            while end < len(data) and end - match.end() < 3 and data[end] in _EXTEND:
                end += 1
            out += [data[at:start], PLACEHOLDER]
            at = end
            self.hits += 1
        stop = max(limit, at)
        out.append(data[at:stop])
        self._held = data[stop:]
        return b"".join(out)


def _forms(secret: bytes) -> list[bytes]:
    """Return patterns for what a secret may look like in a reply."""
    forms = [b"".join(map(_character, secret.decode("utf-8", "replace")))] if _is_text(secret) else []
    forms += [re.escape(secret), re.escape(secret[::-1]), b"(?i:" + secret.hex().encode() + b")"]
    spaced = b"[ :,-]".join(b"%02x" % byte for byte in secret)
    forms.append(b"(?i:" + spaced + b")")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for offset in range(3):
            whole = encode(bytes(offset) + secret + bytes(2))
            first = (offset * 8 + 5) // 6
            last = (offset + len(secret)) * 8 // 6
            forms.append(
                b"(?:"
                + rb"(?:\\?[\r\n]){0,4}".join(re.escape(whole[i : i + 1]) for i in range(first, last))
                + b")"
            )
    return forms


def _is_text(secret: bytes) -> bool:
    try:
        secret.decode()
    except UnicodeDecodeError:
        return False
    return True


def _character(character: str) -> bytes:
    """Return a pattern for one character, plain or escaped."""
    raw, code = character.encode(), ord(character)
    percent = b"".join(b"%%%02x" % byte for byte in raw)
    double = percent.replace(b"%", b"%25")
    ways = [re.escape(raw), b"(?i:" + percent + b")", b"(?i:" + double + b")"]
    if code < 0x10000:
        ways.append(rb"(?i:\\u%04x)" % code)
    ways += [b"&#%d;" % code, b"(?i:&#x0{0,2}%x;)" % code]
    if character in '"\\/':
        ways.append(rb"\\" + re.escape(raw))
    if character == " ":
        ways.append(rb"\+")
    return b"(?:" + b"|".join(ways) + b")"


def inflated(body: bytes, encoding: str) -> bytes | None:
    """Return a body as it was before ``encoding``; None where it cannot be looked into. Bounded."""
    names = [
        name.strip().lower() for name in encoding.split(",") if name.strip() and name.strip() != "identity"
    ]
    for name in reversed(names):
        if name not in ("gzip", "x-gzip", "deflate"):
            return None
        found = _inflate(body)
        if found is None:
            return None
        body = found
    return body


def _inflate(data: bytes) -> bytes | None:
    for window in (47, -15):  # gzip or zlib by its header, else a bare stream
        engine = zlib.decompressobj(window)
        try:
            out = engine.decompress(data, MAX_INFLATED)
        except zlib.error:
            continue
        return None if engine.unconsumed_tail else out
    return None


def hides_in_archive(body: bytes, scrubber: Scrubber) -> bool:
    """Whether a body that is gzip by itself holds a secret."""
    if body[:2] != GZIP:
        return False
    found = _inflate(body)
    before = scrubber.hits
    scrubber.clean(found or b"")
    return scrubber.hits > before


def without_tokens(body: bytes, tell: Callable[[bytes], None]) -> bytes:
    """Return a body without the tokens that it brings: JSON fields and parameters of URLs; ``tell`` gets each."""

    def withheld(match: "re.Match[bytes]") -> bytes:
        tell(match[2])
        return match[1] + FOUND

    return _PARAMETER.sub(withheld, _FIELD.sub(withheld, body))


class TokenScrubber:
    """``without_tokens`` over a stream: whole lines are handed on, so that no token is cut in two.

    Of a line over 64 KiB all but the last 4 KiB are handed on, which is more than a token is looked for.
    """

    def __init__(self, tell: Callable[[bytes], None]) -> None:
        self._tell = tell
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take what came and return what is certainly clean."""
        data = self._held + data
        cut = data.rfind(b"\n") + 1
        while cut and data[max(0, cut - _TAIL) : cut].rstrip()[-1:] in (
            b":",
            b'"',
        ):  # a field's name, whose value is to come
            cut = data.rfind(b"\n", 0, cut - 1) + 1
        if len(data) - cut > _LINE:
            clean = without_tokens(data, self._tell)
            self._held = clean[-_TAIL:]
            return clean[:-_TAIL]
        self._held = data[cut:]
        return without_tokens(data[:cut], self._tell) if cut else b""

    def end(self) -> bytes:
        """Return the rest."""
        rest, self._held = self._held, b""
        return without_tokens(rest, self._tell)
