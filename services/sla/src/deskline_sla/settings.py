"""What sla is told by its environment: no more than every service is."""

from pydantic_settings import SettingsConfigDict

from deskline_chassis.settings import ServiceSettings


class SlaSettings(ServiceSettings):
    """`DESKLINE_SLA_…`."""

    model_config = SettingsConfigDict(env_prefix="DESKLINE_SLA_")
