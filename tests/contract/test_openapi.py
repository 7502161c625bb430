"""The gateway's contract with its clients: the document that is checked in is what the code says."""

import json
from pathlib import Path

import pytest

from deskline_gateway.openapi import PATH, document, text

pytestmark = pytest.mark.contract

KEPT = Path(__file__).parents[2] / PATH


def test_checked_in_document_is_current() -> None:
    assert KEPT.read_text(encoding="utf-8") == text(), (
        f"{PATH} is not what the code says: run `python -m deskline_gateway.openapi` and look at what changed"
    )


def test_document_is_the_same_each_time() -> None:
    assert text() == text()


def test_document_refers_to_nothing_that_it_lacks() -> None:
    schemas = document()["components"]["schemas"]
    wanted = {part.split('"')[0] for part in json.dumps(document()).split('"#/components/schemas/')[1:]}
    assert wanted <= set(schemas)
    assert document()["openapi"].startswith("3.1")


def test_every_operation_needs_a_token_and_tells_its_problems() -> None:
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            assert operation["security"] == [{"token": []}], (method, path)
            for status, answer in operation["responses"].items():
                if status >= "400":
                    assert list(answer["content"]) == ["application/problem+json"], (method, path, status)
            assert {"401", "403", "422", "503"} <= set(operation["responses"])
