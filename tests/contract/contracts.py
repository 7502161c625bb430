"""The contracts as files: a JSON Schema and a golden sample per wire type, and the test keys they are under.

`make docs` writes them, a test compares them. The samples are test vectors: every sealed field opens
under the sample person's key, which is wrapped under the sample key-encryption key.
"""

import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from tests.contract.samples import MOMENT, OTHER, PERSON, SAMPLES, TICKET

from deskline_events.catalog import CATALOG
from deskline_events.envelope import Envelope, event_id, source_of
from deskline_events.facts import Fact
from deskline_events.keys import PersonKeys
from deskline_events.personal import visit_personal
from deskline_events.watermarks import Watermark

FOLDER: Final = Path(__file__).parents[2] / "shared" / "events" / "contracts"

KEY_ENCRYPTION_KEY: Final = bytes(range(32))
PERSON_KEY: Final = bytes(range(32, 64))


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
    written["watermarks.schema.json"] = Watermark.model_json_schema(mode="serialization")
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
