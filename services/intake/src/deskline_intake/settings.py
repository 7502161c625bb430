"""What intake is told by its environment."""

from typing import Annotated, Final, Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from deskline_chassis.settings import ServiceSettings

MIB: Final = 1024 * 1024
_DOMAIN: Final = r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*"


class IntakeSettings(ServiceSettings):
    """The doors, their limits, and where objects go; sizes in bytes, times in seconds."""

    model_config = SettingsConfigDict(env_prefix="DESKLINE_INTAKE_")

    smtp_host: str = "127.0.0.1"
    smtp_port: Annotated[int, Field(ge=0, le=65_535)] = 2525
    smtp_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]{1,200}$", description="how the door greets")] = (
        "localhost"
    )
    smtp_connections: Annotated[int, Field(ge=1, le=10_000)] = 100
    smtp_recipients: Annotated[int, Field(ge=1, le=1_000, description="of one mail")] = 50
    smtp_idle_seconds: Annotated[float, Field(gt=0, le=600)] = 60.0
    smtp_in_flight_bytes: Annotated[
        int, Field(ge=64 * 1024, description="mails being received at a time")
    ] = 32 * MIB
    mail_bytes: Annotated[int, Field(ge=1024, le=25 * MIB, description="the largest mail")] = 25 * MIB
    parse_seconds: Annotated[
        float, Field(gt=0, le=60, description="for one large mail, in a process of its own")
    ] = 20.0
    object_store: Annotated[str, Field(pattern=r"^(file:///|s3://|gs://|memory://)")]
    form_line_limit: Annotated[
        int, Field(ge=1, le=1_000, description="forms of one line within its window")
    ] = 60
    form_line_seconds: Annotated[int, Field(ge=1, le=86_400)] = 60
    form_address_limit: Annotated[
        int, Field(ge=1, le=1_000, description="forms with one address within its window, all lines together")
    ] = 5
    form_address_seconds: Annotated[int, Field(ge=1, le=86_400)] = 3_600
    backlog_seconds: Annotated[
        float,
        Field(gt=0, le=3_600, description="work on its way, above which the doors send messages away"),
    ] = 10.0
    own_domains: Annotated[
        str | None,
        Field(
            pattern=rf"^{_DOMAIN}(,{_DOMAIN})*$",
            description="domains of our Message-IDs, past ones too: mail that carries one is our own",
        ),
    ] = None

    @property
    def own_domain_names(self) -> frozenset[str]:
        """Our domains in lower case."""
        return frozenset((self.own_domains or "").lower().split(",")) - {""}

    @model_validator(mode="after")
    def _one_mail_fits(self) -> Self:
        if self.smtp_in_flight_bytes < self.mail_bytes:
            raise ValueError(
                "DESKLINE_INTAKE_SMTP_IN_FLIGHT_BYTES: must hold one mail of DESKLINE_INTAKE_MAIL_BYTES"
            )
        return self
