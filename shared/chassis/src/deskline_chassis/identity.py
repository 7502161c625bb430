"""Identity: who a call is made for, signed by the gateway and believed by nobody without its signature."""

import base64
import functools
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jws
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import OKPKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

HEADER: Final = "Deskline-Identity"
ISSUER: Final = "deskline.gateway"
LIFETIME: Final = timedelta(seconds=30)
CLOCK_SKEW: Final = timedelta(seconds=5)
MAX_BYTES: Final = 4096

# EdDSA on the curve Ed25519, by its one unambiguous name: RFC 9864 deprecates the name "EdDSA". Nothing
# else is ever accepted, whatever a token's header says.
_ALGORITHM: Final = "Ed25519"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who acts, what they are, and what of it this call may use."""

    actor_id: UUID
    roles: frozenset[str]
    scope: str


class IdentityRefusedError(Exception):
    """A token is not believed.

    `reason`: missing, too_large, malformed, algorithm, forged, issuer, audience, expired or not_yet.
    """

    safe_message: ClassVar[bool] = True

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Claims(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    iss: Annotated[str, Field(strict=True)]
    aud: Annotated[str, Field(strict=True)]
    sub: UUID
    roles: frozenset[str]
    scope: Annotated[str, Field(strict=True)]
    nbf: Annotated[int, Field(strict=True)]
    exp: Annotated[int, Field(strict=True)]


class Verifier:
    """Believes tokens that this gateway signed for this service; `public_key` is base64 of 32 bytes.

    Raises ValueError on a key that isn't one.
    """

    def __init__(self, public_key: str, audience: str) -> None:
        self._key = OKPKey.import_key(
            {"kty": "OKP", "crv": "Ed25519", "x": _urlsafe(base64.b64decode(public_key, validate=True))}
        )
        self._audience = audience

    def verify(self, token: str, now: datetime) -> Identity:
        """The identity that a token carries; raises IdentityRefusedError."""
        claims = self._claims(self._payload(token))
        if claims.iss != ISSUER:
            raise IdentityRefusedError("issuer")
        if claims.aud != self._audience:
            raise IdentityRefusedError("audience")
        moment, skew = now.timestamp(), CLOCK_SKEW.total_seconds()
        if moment >= claims.exp + skew:
            raise IdentityRefusedError("expired")
        if moment < claims.nbf - skew:
            raise IdentityRefusedError("not_yet")
        return Identity(claims.sub, claims.roles, claims.scope)

    def _payload(self, token: str) -> bytes:
        if len(token) > MAX_BYTES:
            raise IdentityRefusedError("too_large")
        try:
            if jws.extract_compact(token.encode("ascii")).headers().get("alg") != _ALGORITHM:
                raise IdentityRefusedError("algorithm")
            return jws.deserialize_compact(token, self._key, algorithms=[_ALGORITHM]).payload
        except BadSignatureError:
            raise IdentityRefusedError("forged") from None
        except (JoseError, ValueError, TypeError, KeyError, AttributeError):
            raise IdentityRefusedError("malformed") from None

    @staticmethod
    def _claims(payload: bytes) -> _Claims:
        try:
            return _Claims.model_validate_json(payload)
        except ValidationError:
            raise IdentityRefusedError("malformed") from None


def sign(
    private_key: str, identity: Identity, audience: str, now: datetime, lifetime: timedelta = LIFETIME
) -> str:
    """A token for one call to one service; `private_key` is base64 of 32 bytes. Raises ValueError on it."""
    issued = int(now.timestamp())
    claims = {
        "iss": ISSUER,
        "aud": audience,
        "sub": str(identity.actor_id),
        "roles": sorted(identity.roles),
        "scope": identity.scope,
        "nbf": issued,
        "exp": issued + int(lifetime.total_seconds()),
    }
    header = {"alg": _ALGORITHM, "typ": "JWT"}
    return jws.serialize_compact(
        header, json.dumps(claims, separators=(",", ":")), _signing_key(private_key), algorithms=[_ALGORITHM]
    )


def generate_keys() -> tuple[str, str]:
    """A new pair (private, public), each base64 of 32 bytes."""
    private = Ed25519PrivateKey.generate()
    return _standard(private.private_bytes_raw()), _standard(private.public_key().public_bytes_raw())


@functools.lru_cache(maxsize=4)
def _signing_key(private_key: str) -> OKPKey:
    private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(private_key, validate=True))
    return OKPKey.import_key(
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "d": _urlsafe(private.private_bytes_raw()),
            "x": _urlsafe(private.public_key().public_bytes_raw()),
        }
    )


def _standard(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _urlsafe(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
