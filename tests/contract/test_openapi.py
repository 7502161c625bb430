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


ANYBODY = {("post", "/v1/lines/{line_id}/messages")}


def test_every_operation_but_the_web_form_needs_a_token_and_all_tell_their_problems() -> None:
    public = set()
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            needs_token = operation["security"] == [{"token": []}]
            if not needs_token:
                assert operation["security"] == [], (method, path)
                public.add((method, path))
                assert "401" not in operation["responses"], (method, path)
            for status, answer in operation["responses"].items():
                if status >= "400":
                    assert list(answer["content"]) == ["application/problem+json"], (method, path, status)
            wanted = {"401", "403", "422", "503"} if needs_token else {"403", "422", "429", "503"}
            assert wanted <= set(operation["responses"]), (method, path)
    assert public == ANYBODY
