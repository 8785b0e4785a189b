"""Whose token is this? Everything about it is checked: kind, algorithm, signature, issuer, audience, time, revocation.

A token is good here and nowhere else; it is looked at and dropped, never handed on.
"""

from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from freehold.base import Refused
from freehold.runtime.external import External, Externals
from freehold.wire.vault import TOKEN_TYPE

MAX_BYTES: Final = 4_096
_ALGORITHMS: Final = ["EdDSA"]
_CLAIMS: Final = ["iss", "aud", "sub", "jti", "iat", "exp"]


class Tokens:
    """Checks tokens against one estate's public key and its list of external agents."""

    def __init__(self, externals: Externals, public: bytes) -> None:
        self._externals = externals
        self._key = Ed25519PublicKey.from_public_bytes(public)

    def check(self, token: str, now_us: int) -> External:
        """Return the agent whose token this is; raises Refused saying which check it failed."""
        if len(token) > MAX_BYTES:
            raise _refused("It is too long to be one.")
        try:
            head = jwt.get_unverified_header(token)
            if head.get("typ") != TOKEN_TYPE or head.get("alg") not in _ALGORITHMS or "crit" in head:
                raise _refused("It is of another kind.")
            claims = jwt.decode(
                token,
                self._key,
                algorithms=_ALGORITHMS,
                audience=self._externals.audience,
                issuer=self._externals.issuer,
                options={"require": _CLAIMS, "strict_aud": True},
            )
        except jwt.ExpiredSignatureError as error:
            raise _refused("It has expired.") from error
        except jwt.InvalidAudienceError as error:
            raise _refused("It was issued for another place.") from error
        except jwt.InvalidIssuerError as error:
            raise _refused("Another issued it.") from error
        except jwt.PyJWTError as error:
            raise _refused("It is not one that this estate signed.") from error
        return self._externals.whose(token, str(claims["sub"]), now_us)


def _refused(why: str) -> Refused:
    return Refused(
        f"This token does not count. {why}",
        remedy="Its agent's owner issues a new one: freehold agents token NAME",
        code="refused.token",
    )
