"""What an administrator asks of the door itself: make, list and end tokens."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from deskline_gateway.domain.rules import Role
from deskline_gateway.domain.tokens import Scope, Token, hash_of, text_of
from deskline_gateway.ports import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateToken:
    """A new token; its id and secret come from outside, as time does."""

    token_id: UUID
    secret: bytes
    actor_id: UUID
    roles: frozenset[Role]
    scope: Scope
    label: str
    days: int
    now: datetime


def create_token(tokens: Tokens, command: CreateToken) -> str:
    """Keep the token and give its text, which nobody can give again."""
    tokens.add(
        Token(
            id=command.token_id,
            actor_id=command.actor_id,
            roles=frozenset(command.roles),
            scope=command.scope,
            hash=hash_of(command.secret),
            label=command.label,
            created_at=command.now,
            expires_at=command.now + timedelta(days=command.days),
        )
    )
    return text_of(command.token_id, command.secret)


def list_tokens(tokens: Tokens) -> list[dict[str, object]]:
    """All tokens without their hashes, oldest first."""
    return [
        {
            "id": token.id,
            "label": token.label,
            "actor_id": token.actor_id,
            "roles": sorted(token.roles),
            "scope": token.scope,
            "created_at": token.created_at,
            "expires_at": token.expires_at,
            "revoked_at": token.revoked_at,
            "last_used_on": token.last_used_on,
        }
        for token in tokens.every()
    ]


def revoke_token(tokens: Tokens, token_id: UUID, now: datetime) -> bool:
    """End a token; False when there is none with this id."""
    return tokens.revoke(token_id, now)
