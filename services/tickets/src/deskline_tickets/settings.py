"""What tickets is told by its environment, beside what every service is told."""

import base64
from datetime import timedelta
from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from deskline_chassis.settings import SecretKey, ServiceSettings

_DOMAIN = r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*"


class TicketsSettings(ServiceSettings):
    """`DESKLINE_TICKETS_…`."""

    model_config = SettingsConfigDict(env_prefix="DESKLINE_TICKETS_")

    reply_token_key: SecretKey
    own_domains: Annotated[
        str | None,
        Field(
            pattern=rf"^{_DOMAIN}(,{_DOMAIN})*$",
            description="domains of our Message-IDs, past ones too; unset: their token alone tells",
        ),
    ] = None
    reopening_window_days: Annotated[int, Field(ge=0, le=3650)] = 14

    @property
    def reply_token_key_bytes(self) -> bytes:
        """The key of reply tokens: 32 bytes, held by tickets alone."""
        return base64.b64decode(self.reply_token_key.get_secret_value())

    @property
    def own_domain_names(self) -> frozenset[str] | None:
        """Our domains in lower case; None where the token alone decides."""
        return None if self.own_domains is None else frozenset(self.own_domains.lower().split(","))

    @property
    def reopening_window(self) -> timedelta:
        """How long after closing a customer's reply still reopens a ticket."""
        return timedelta(days=self.reopening_window_days)
