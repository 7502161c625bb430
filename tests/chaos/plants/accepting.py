"""Mistakes of doors: what counts as the same mail, and when a sender is told that theirs is kept."""

from tests.chaos.plants.editing import Edit, Plant

DEDUPE_BY_MESSAGE_ID = Plant(
    "a mail whose Message-ID was here before is a repeat, whatever it says and whoever wrote it",
    (
        Edit(
            "deskline_intake.handlers.messages",
            "Deliveries.first_of",
            """
            + if identity.message_id_hash is not None:
            +     return self._by_message_id.get((mail.line.line_id, identity.message_id_hash))
              found = self._by_key.get((mail.line.line_id, identity.source_key))
            """,
        ),
    ),
)

ACKNOWLEDGED_BEFORE_COMMIT = Plant(
    "the mail door says 250 as soon as a mail is in the queue of those to be stored",
    (
        Edit(
            "deskline_intake.channels.smtp",
            "SmtpDoor.take",
            """
            - await asyncio.wait_for(asyncio.shield(stored), STORE_SECONDS)
            + await asyncio.sleep(0)
            """,
        ),
    ),
)
