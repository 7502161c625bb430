"""What routing is told by its environment, beside what every service is told."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from deskline_chassis.settings import ServiceSettings


class RoutingSettings(ServiceSettings):
    """`DESKLINE_ROUTING_…`."""

    model_config = SettingsConfigDict(env_prefix="DESKLINE_ROUTING_")

    presence_seconds: Annotated[
        float, Field(ge=1, le=3600, description="how long an operator is present after a heartbeat")
    ] = 60
    sweep_seconds: Annotated[
        float, Field(ge=1, le=3600, description="how often all waiting tickets are tried again")
    ] = 60
