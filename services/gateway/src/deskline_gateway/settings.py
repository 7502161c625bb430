"""Settings: what the door is told beyond what every service is."""

from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from deskline_chassis.identity import Identity, IdentityRefusedError, Verifier, sign
from deskline_chassis.settings import SecretKey, ServiceSettings
from deskline_gateway.domain.addresses import Network
from deskline_gateway.domain.limits import Limits, Rate
from deskline_gateway.domain.rules import OWNERS, Owner

# An origin only: a path or credentials in it would change what the table of rules says.
OwnerUrl = Annotated[str, Field(pattern=r"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?/?$")]


class GatewaySettings(ServiceSettings):
    """The environment of the gateway."""

    model_config = SettingsConfigDict(env_prefix="DESKLINE_GATEWAY_")

    identity_private_key: SecretKey
    intake_url: OwnerUrl
    tickets_url: OwnerUrl
    routing_url: OwnerUrl
    sla_url: OwnerUrl
    notify_url: OwnerUrl
    analytics_url: OwnerUrl
    in_flight: Annotated[
        int, Field(ge=1, le=10_000, description="requests at once; fewer where owners are slow")
    ] = 128
    token_per_second: Annotated[float, Field(gt=0, le=100_000, description="requests of one token")] = 100.0
    token_burst: Annotated[int, Field(ge=1, le=100_000)] = 400
    form_per_minute: Annotated[float, Field(gt=0, le=100_000, description="from one address")] = 20.0
    form_burst: Annotated[int, Field(ge=1, le=100_000)] = 10
    forms_per_minute: Annotated[float, Field(gt=0, le=1_000_000, description="from all addresses")] = 1200.0
    forms_burst: Annotated[int, Field(ge=1, le=100_000)] = 200
    streams: Annotated[int, Field(ge=1, le=100_000, description="live views open at once")] = 1000
    streams_per_token: Annotated[int, Field(ge=1, le=100_000)] = 20
    proxies: Annotated[
        str | None,
        Field(
            description="networks of the proxies before the gateway, with commas: their X-Forwarded-For is"
            " believed; unset, everybody's address is that of the connection"
        ),
    ] = None

    @field_validator("proxies")
    @classmethod
    def _are_networks(cls, value: str | None) -> str | None:
        try:
            _networks(value)
        except ValueError:
            raise ValueError("must be networks such as 10.0.0.0/8, with commas between them") from None
        return value

    @property
    def proxy_networks(self) -> tuple[Network, ...]:
        """The networks of our proxies."""
        return _networks(self.proxies)

    @property
    def owner_urls(self) -> dict[Owner, str]:
        """Each owner's address."""
        return {owner: getattr(self, f"{owner}_url") for owner in OWNERS}

    @property
    def limits(self) -> Limits:
        """How often people may come."""
        return Limits(
            token=Rate(self.token_per_second, self.token_burst),
            stranger=Rate(self.form_per_minute / 60, self.form_burst),
            strangers=Rate(self.forms_per_minute / 60, self.forms_burst),
        )

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


def _networks(text: str | None) -> tuple[Network, ...]:
    return tuple(ip_network(part.strip()) for part in (text or "").split(",") if part.strip())
