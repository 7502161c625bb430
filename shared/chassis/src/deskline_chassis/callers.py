"""Who calls: the identity that a request carries, asked for by routes."""

from datetime import UTC, datetime

from fastapi import FastAPI, Request

from deskline_chassis.http import Problem
from deskline_chassis.identity import HEADER, Identity, IdentityRefusedError, Verifier


def trust(app: FastAPI, verifier: Verifier) -> None:
    """Let `require_identity` on this application's routes believe what the verifier believes."""
    app.state.identity_verifier = verifier


async def require_identity(request: Request) -> Identity:
    """FastAPI dependency: the caller's identity; a Problem with 401 when there is none to believe."""
    verifier: Verifier = request.app.state.identity_verifier
    try:
        return verifier.verify(_only(request.headers.getlist(HEADER)), datetime.now(UTC))
    except IdentityRefusedError as refused:
        raise Problem(
            401,
            "identity_refused",
            "The call carries no identity that this service believes",
            headers={"WWW-Authenticate": HEADER},
            reason=refused.reason,
        ) from None


def _only(tokens: list[str]) -> str:
    if len(tokens) != 1:
        raise IdentityRefusedError("malformed" if tokens else "missing")
    return tokens[0]
