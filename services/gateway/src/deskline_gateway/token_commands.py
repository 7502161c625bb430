"""The command line's door to tokens."""

import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

import psycopg
import typer
from uuid_utils.compat import uuid7

from deskline_chassis.postgres import Database
from deskline_chassis.settings import load
from deskline_gateway.adapters.token_table import TokenTable
from deskline_gateway.domain.rules import ROLES
from deskline_gateway.domain.tokens import SECRET_BYTES, Scope
from deskline_gateway.handlers import CreateToken, create_token, list_tokens, revoke_token
from deskline_gateway.settings import GatewaySettings

token_commands = typer.Typer(no_args_is_help=True, help="API tokens.")

_LABEL: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")


def _code(text: str) -> str:
    if _LABEL.fullmatch(text) is None:
        raise typer.BadParameter("use up to 40 of a-z, 0-9, dot, dash and underscore, as in `billing-sync`")
    return text


def _roles(given: list[str]) -> list[str]:
    for unknown in set(given) - set(ROLES):
        raise typer.BadParameter(f"{unknown} is no role; choose from {', '.join(ROLES)}")
    return given


@token_commands.command("create")
def create_command(
    *,
    role: Annotated[
        list[str],
        typer.Option(help=f"what it may do, more than once for more: {', '.join(ROLES)}", callback=_roles),
    ],
    actor: Annotated[UUID | None, typer.Option(help="whom it acts for; a new actor by default")] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="how long it counts")] = 90,
    scope: Annotated[Scope, typer.Option(help="how far its roles reach")] = "all",
    label: Annotated[
        str, typer.Option(help="a code to know it by; never a person's name", callback=_code)
    ] = "token",
) -> None:
    """Print a new token, once: only its hash is kept."""
    token_id, actor_id = uuid7(), actor or uuid7()
    with _tokens() as tokens:
        text = create_token(
            tokens,
            CreateToken(
                token_id=token_id,
                secret=secrets.token_bytes(SECRET_BYTES),
                actor_id=actor_id,
                roles=frozenset(one for one in ROLES if one in role),
                scope=scope,
                label=label,
                days=days,
                now=datetime.now(UTC),
            ),
        )
    # The token alone on stdout, so that a script can take it.
    typer.echo(f"token {token_id} of actor {actor_id}, for {days} days; it is shown only now:", err=True)
    typer.echo(text)


@token_commands.command("list")
def list_command() -> None:
    """One JSON line per token, oldest first, without anything secret."""
    with _tokens() as tokens:
        for shown in list_tokens(tokens):
            typer.echo(json.dumps(shown, default=str))


@token_commands.command("revoke")
def revoke_command(token_id: UUID) -> None:
    """End a token: every gateway refuses it within 5 seconds."""
    with _tokens() as tokens:
        found = revoke_token(tokens, token_id, datetime.now(UTC))
    if not found:
        typer.echo(f"there is no token {token_id}; see `token list`", err=True)
        raise typer.Exit(1)
    typer.echo(f"token {token_id} is revoked")


@contextmanager
def _tokens() -> Iterator[TokenTable]:
    database = Database(
        load(GatewaySettings).database_url.get_secret_value(), "deskline-gateway-tokens", size=1
    )
    database.open()
    try:
        yield TokenTable(database)
    except psycopg.Error as error:
        # The text of a psycopg error may hold the address; its kind is enough here.
        typer.echo(f"the gateway's database can't be used: {type(error).__name__}; nothing changed", err=True)
        raise typer.Exit(1) from None
    finally:
        database.close()
