"""A service that has nothing but its log and its relay: `python -m bench.chassis.announcing serve`."""

from pydantic_settings import SettingsConfigDict

from deskline_chassis.service import Service, command_line
from deskline_chassis.serving import Serving
from deskline_chassis.settings import ServiceSettings


class AnnouncingSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="DESKLINE_INTAKE_")


SERVICE = Service(
    settings=AnnouncingSettings,
    package="deskline_events",
    serving=lambda: Serving(owns_keys=True),
    announces=True,
)

if __name__ == "__main__":
    command_line(SERVICE)()
