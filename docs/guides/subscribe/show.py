#!/usr/bin/env python3
"""Prints the facts that subscriber.py keeps, one a line, with the texts of people who were not erased."""

import json
import os
import sqlite3
import sys
from base64 import b64decode

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap


def opened(node: object, fact: str, path: str, keys: dict[str, str]) -> object:
    """A fact's data with its sealed fields opened; null where the person's key did not come yet."""
    if isinstance(node, list):
        return [opened(part, fact, f"{path}{place}.", keys) for place, part in enumerate(node)]
    if not isinstance(node, dict):
        return node
    if node.keys() != {"k", "v", "c"}:
        return {name: opened(part, fact, f"{path}{name}.", keys) for name, part in node.items()}
    wrapped = keys.get(node["k"])
    if not wrapped:
        return None if wrapped is None else "erased"
    key_encryption_key = b64decode(os.environ["DESKLINE_KEY_ENCRYPTION_KEY"])
    key = aes_key_unwrap(key_encryption_key, b64decode(json.loads(wrapped)[str(node["v"])]))
    box, place = b64decode(node["c"]), f"{fact}/{path.removesuffix('.')}"
    return AESGCM(key).decrypt(box[:12], box[12:], place.encode()).decode()


if __name__ == "__main__":
    state = sqlite3.connect(os.environ["SUBSCRIBER_STATE"])
    persons = dict(state.execute("SELECT person, keys FROM keys"))
    for kind, subject, sequence, fact, data in state.execute(
        "SELECT type, subject, sequence, id, data FROM facts ORDER BY rowid"
    ):
        shown = json.dumps(opened(json.loads(data), fact, "", persons), ensure_ascii=False)
        sys.stdout.write(f"{kind}\t{subject}\t{sequence}\t{shown}\n")
