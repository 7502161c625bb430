"""Settings of analytics: nothing beyond what every service is told."""

from pydantic_settings import SettingsConfigDict

from deskline_chassis.settings import ServiceSettings


class AnalyticsSettings(ServiceSettings):
    """Variables `DESKLINE_ANALYTICS_*` and the deployment's own."""

    model_config = SettingsConfigDict(env_prefix="DESKLINE_ANALYTICS_")
