"""The contracts as files: a JSON Schema and a golden sample per wire type, and the test keys they are under.

`make docs` writes them, a test compares them. The samples are test vectors: every sealed field opens
under the sample person's key, which is wrapped under the sample key-encryption key.
"""

import base64
import hashlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from deskline_events import intake, tickets
from deskline_events.catalog import CATALOG
from deskline_events.envelope import Envelope, event_id, source_of
from deskline_events.facts import Attachment, Customer, Fact, Line, StoredObject
from deskline_events.keys import PersonKeys
from deskline_events.personal import visit_personal

FOLDER: Final = Path(__file__).parents[2] / "shared" / "events" / "contracts"

PERSON: Final = UUID("01990000-0000-7000-8000-000000000001")
COMPANY: Final = UUID("01990000-0000-7000-8000-000000000002")
LINE: Final = UUID("01990000-0000-7000-8000-000000000003")
OPERATOR: Final = UUID("01990000-0000-7000-8000-000000000004")
TICKET: Final = UUID("01990000-0000-7000-8000-000000000005")
OTHER: Final = UUID("01990000-0000-7000-8000-000000000006")
KEY_ENCRYPTION_KEY: Final = bytes(range(32))
PERSON_KEY: Final = bytes(range(32, 64))
MOMENT: Final = datetime(2026, 3, 2, 9, 30, 15, 250_000, tzinfo=UTC)

_line = Line(line_id=LINE, name="support", channel="email", language="ru")
_customer = Customer(contact_id=PERSON, company_id=COMPANY, tier="gold", locale="ru", new=True)
_file = Attachment(
    attachment_id=OTHER,
    content=StoredObject(key="attachments/0199/sample", sha256="0" * 64, size=12_345),
    filename="счёт.pdf",
    media_type="application/pdf",
)
_message = tickets.CustomerMessage(
    source_key="a" * 64,
    received_at=MOMENT,
    kind="human",
    text="Принтер не печатает.\n> Вы писали…",
    reply="Принтер не печатает.",
    message_id="1@customer.example",
    attachments=(_file,),
)
_operator = tickets.Actor(kind="operator", id=OPERATOR)

SAMPLES: Final[tuple[Fact, ...]] = (
    intake.CompanyRegistered(company_id=COMPANY, tier="gold", locale="ru"),
    intake.ContactRegistered(
        contact_id=PERSON, address="anna@customer.example", name="Анна", company_id=COMPANY, locale="ru"
    ),
    intake.MessageReceived(
        raw_id=OTHER,
        source_key="a" * 64,
        line=_line,
        contact_id=PERSON,
        customer=_customer,
        received_at=MOMENT,
        kind="human",
        subject="Не печатает принтер",
        text="Принтер не печатает.\n> Вы писали…",
        reply="Принтер не печатает.",
        message_id="1@customer.example",
        references="0@desk.example",
        attachments=(_file,),
        problems=("charset_replaced",),
    ),
    tickets.TicketOpened(
        number=42,
        line=_line,
        contact_id=PERSON,
        customer=_customer,
        subject="Не печатает принтер",
        message=_message,
        priority="medium",
        reply_token="sampletoken",
        link=tickets.Link(kind="follow_up_of", ticket_id=OTHER),
    ),
    tickets.CustomerReplied(contact_id=PERSON, message=_message),
    tickets.AutomaticMessageAdded(
        contact_id=PERSON, message=_message.model_copy(update={"kind": "auto_reply"})
    ),
    tickets.MessageSetAside(
        source_key="b" * 64, line_id=LINE, contact_id=PERSON, received_at=MOMENT, reason="bounce"
    ),
    tickets.OperatorReplied(
        reply_id=OTHER, operator_id=OPERATOR, contact_id=PERSON, text="Проверьте кабель.", seen_version=1
    ),
    tickets.NoteAdded(note_id=OTHER, operator_id=OPERATOR, mentions=(OPERATOR,)),
    tickets.StageChanged(
        before="in_progress",
        after="resolved",
        actor=_operator,
        cycle=1,
        assignment_no=2,
        closing_reason="solved",
    ),
    tickets.PriorityChanged(before="medium", after="high", actor=_operator),
)


def seal_fixed(model: type[Fact], data: dict[str, Any], identity: UUID) -> None:
    """Seal as the chassis does, but with a nonce derived from the field: the file is the same each time."""

    def encrypt(subject: str, path: str, text: Any) -> dict[str, Any]:
        additional = f"{identity}/{path}".encode()
        nonce = hashlib.sha256(additional).digest()[:12]
        cipher = AESGCM(PERSON_KEY).encrypt(nonce, str(text).encode(), additional)
        return {"k": subject, "v": 1, "c": base64.b64encode(nonce + cipher).decode()}

    visit_personal(model, data, encrypt)


def sample(fact: Fact) -> dict[str, Any]:
    """One record as it stands on the topic, and its data in the clear."""
    contract = CATALOG[fact.TYPE]
    source = source_of(contract.owner)
    identity = event_id(source, TICKET, 1, 1)
    clear = fact.model_dump(mode="json")
    data = fact.model_dump(mode="json")
    seal_fixed(type(fact), data, identity)
    envelope = Envelope(
        id=identity,
        source=source,
        type=fact.TYPE,
        time=MOMENT,
        subject=TICKET,
        sequence=1,
        correlation_id=OTHER,
        causation_id=None,
        epoch=1,
        generation=1,
    )
    headers = {name: value.decode() for name, value in envelope.headers()}
    return {"topic": f"deskline.{contract.owner}.events", "headers": headers, "data": data, "clear": clear}


def keys_sample() -> dict[str, Any]:
    """The records of a keys topic: a person's key, and an erasure."""
    wrapped = base64.b64encode(aes_key_wrap(KEY_ENCRYPTION_KEY, PERSON_KEY)).decode()
    return {
        "key_encryption_key": base64.b64encode(KEY_ENCRYPTION_KEY).decode(),
        "known": PersonKeys(subject=PERSON, keys={1: wrapped}).model_dump(mode="json", exclude_none=True),
        "erased": PersonKeys(subject=PERSON, keys={}, erased_at=MOMENT).model_dump(
            mode="json", exclude_none=True
        ),
    }


def files() -> dict[str, str]:
    """Every contract file: name → text."""
    written = {
        f"{fact.TYPE}.schema.json": type(fact).model_json_schema(mode="serialization") for fact in SAMPLES
    }
    written["keys.schema.json"] = PersonKeys.model_json_schema(mode="serialization")
    samples = {f"{fact.TYPE}.sample.json": sample(fact) for fact in SAMPLES} | {
        "keys.sample.json": keys_sample()
    }
    return {
        name: json.dumps(content, ensure_ascii=False, indent=1, sort_keys=name.endswith("schema.json")) + "\n"
        for name, content in (written | samples).items()
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in files().items():
        (FOLDER / name).write_text(text)
    sys.stdout.write(f"wrote {len(files())} files to {FOLDER.relative_to(FOLDER.parents[2])}\n")
