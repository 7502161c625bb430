"""What notify is told by its environment."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, AwareDatetime, Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from deskline_chassis.settings import ServiceSettings
from deskline_notify.domain.ids import usable_address

_DOMAIN: Final = r"^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$"


def _is_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("must be an IANA time zone, such as Europe/Moscow") from None
    return name


def _is_address(address: str) -> str:
    if usable_address(address) != address:
        raise ValueError("must be a mail address in ASCII")
    return address


class NotifySettings(ServiceSettings):
    """The provider that takes our mail, and what our mails say of us; times in seconds."""

    model_config = SettingsConfigDict(env_prefix="DESKLINE_NOTIFY_")

    smtp_host: Annotated[str, Field(min_length=1, max_length=253)] = "127.0.0.1"
    smtp_port: Annotated[int, Field(ge=1, le=65_535)] = 25
    smtp_tls: Literal["none", "starttls", "tls"] = "none"
    smtp_ca_file: Annotated[Path | None, Field(description="instead of the system's authorities")] = None
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_connections: Annotated[int, Field(ge=1, le=100, description="kept open, each with one mail")] = 8
    smtp_timeout_seconds: Annotated[
        float, Field(gt=0, le=300, description="for one mail, its connection included")
    ] = 30.0
    own_domain: Annotated[str, Field(max_length=120, pattern=_DOMAIN, description="of our Message-IDs")]
    sender_address: Annotated[
        str | None,
        AfterValidator(lambda address: None if address is None else _is_address(address)),
        Field(description="From of mails about a line that has no address; desk@ the own domain"),
    ] = None
    zone: Annotated[str, AfterValidator(_is_zone), Field(description="of times in mails")] = "UTC"
    active_since: Annotated[
        AwareDatetime | None,
        Field(description="facts before this moment are told to nobody; else the first start"),
    ] = None
    retry_seconds: Annotated[
        float, Field(gt=0, le=600, description="before the second try; doubled up to 30 minutes")
    ] = 5.0

    @property
    def sender(self) -> str:
        """Where mails about a line without an address come from."""
        return self.sender_address or f"desk@{self.own_domain}"

    @property
    def first_retry(self) -> timedelta:
        """Before the second try."""
        return timedelta(seconds=self.retry_seconds)

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if (self.smtp_username is None) != (self.smtp_password is None):
            raise ValueError("DESKLINE_NOTIFY_SMTP_USERNAME and _PASSWORD: give both or neither")
        if self.smtp_username is not None and self.smtp_tls == "none":
            raise ValueError("DESKLINE_NOTIFY_SMTP_TLS: a password needs starttls or tls")
        return self
