"""A small service that writes: owner "intake", with persons' keys, told over HTTP what to announce."""

from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Body
from pydantic import BaseModel
from pydantic_settings import SettingsConfigDict

from deskline_chassis.event_log import Cause, NewEvent
from deskline_chassis.service import Service, command_line
from deskline_chassis.serving import Serving, ServingParts
from deskline_chassis.settings import ServiceSettings
from deskline_events.intake import ContactRegistered


class WriterSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="DESKLINE_INTAKE_")


class Wanted(BaseModel):
    stream: UUID
    word: str


def routes(parts: ServingParts) -> None:
    @parts.app.post("/facts", status_code=201)
    def write(wanted: Annotated[list[Wanted], Body()]) -> list[tuple[UUID, int]]:
        """One event each, all in one transaction, under the persons' keys."""
        story = uuid4()
        with parts.database.transaction() as connection:
            parts.log.lock(connection)
            parts.keys.register(connection, {one.stream for one in wanted})
            appended = parts.log.append(
                connection,
                [
                    NewEvent(
                        one.stream,
                        ContactRegistered(
                            contact_id=one.stream,
                            address=f"{one.word}@example.org",
                            name=one.word,
                            locale="ru",
                        ),
                        Cause(story),
                    )
                    for one in wanted
                ],
            )
        parts.log.ring()
        return [(event.stream, event.sequence) for event in appended]

    @parts.app.post("/erasures/{person}", status_code=204)
    def erase(person: UUID) -> None:
        with parts.database.transaction() as connection:
            parts.log.lock(connection)
            parts.keys.erase(connection, person)
        parts.log.ring()


SERVICE = Service(
    settings=WriterSettings,
    package="deskline_events",
    serving=lambda: Serving(routes=routes, owns_keys=True),
    announces=True,
)

if __name__ == "__main__":
    command_line(SERVICE)()
