"""What the mailbox is told by its environment."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from deskline_mailbox.maildir import MIB, Limits
from deskline_mailbox.smtp import LETTER_BYTES

Port = Annotated[int, Field(ge=0, le=65_535, description="0 takes a free one")]


class MailboxSettings(BaseSettings):
    """Variables `DESKLINE_MAILBOX_*`; sizes in bytes."""

    model_config = SettingsConfigDict(
        env_prefix="DESKLINE_MAILBOX_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    folder: Path = Path("/var/lib/deskline/mailbox")
    smtp_host: str = "127.0.0.1"
    smtp_port: Port = 2526
    http_host: str = "127.0.0.1"
    http_port: Port = 8025
    letter_bytes: Annotated[int, Field(ge=1024, description="the largest letter")] = LETTER_BYTES
    letters: Annotated[int, Field(ge=1, description="kept; beyond it the oldest goes")] = Limits().letters
    folder_bytes: Annotated[int, Field(ge=MIB, description="of all letters")] = Limits().folder_bytes

    @property
    def limits(self) -> Limits:
        """How much is kept."""
        return Limits(self.letters, self.folder_bytes)
