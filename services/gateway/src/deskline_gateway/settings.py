"""Settings: what the door is told beyond what every service is."""

from datetime import UTC, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from deskline_chassis.identity import Identity, IdentityRefusedError, Verifier, sign
from deskline_chassis.settings import SecretKey, ServiceSettings

# An origin only: a path or credentials in it would change what the table of rules says.
OwnerUrl = Annotated[str, Field(pattern=r"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?/?$")]


class GatewaySettings(ServiceSettings):
    """The environment of the gateway."""

    model_config = SettingsConfigDict(env_prefix="DESKLINE_GATEWAY_")

    identity_private_key: SecretKey
    tickets_url: OwnerUrl
    analytics_url: OwnerUrl
    in_flight: Annotated[int, Field(ge=1, le=10_000)] = 128

    @model_validator(mode="after")
    def _keys_are_a_pair(self) -> Self:
        now = datetime.now(UTC)
        signed = sign(
            self.identity_private_key.get_secret_value(),
            Identity(UUID(int=0), frozenset(), "all"),
            self.service(),
            now,
        )
        try:
            Verifier(self.identity_public_key, self.service()).verify(signed, now)
        except IdentityRefusedError:
            raise ValueError(
                "DESKLINE_GATEWAY_IDENTITY_PRIVATE_KEY: is not the private half of"
                " DESKLINE_IDENTITY_PUBLIC_KEY"
            ) from None
        return self
