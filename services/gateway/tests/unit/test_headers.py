"""Headers and queries: what passes, and what can't."""

import pytest

from deskline_gateway.domain.headers import OF_FORMS, HeaderRefusedError, inward, is_query, outward

pytestmark = pytest.mark.unit


def test_only_the_listed_headers_go_in() -> None:
    given = {
        "If-Match": '"3"',
        "Idempotency-Key": "k",
        "Accept-Language": "ru",
        "Content-Type": "application/json",
        "Authorization": "Bearer x",
        "Deskline-Identity": "forged",
        "Cookie": "a=b",
        "traceparent": "00-1-1-01",
        "X-Forwarded-For": "1.2.3.4",
        "Host": "evil",
        "Transfer-Encoding": "chunked",
        "Content-Length": "5",
        "Connection": "keep-alive",
    }
    assert inward(given.items()) == {
        "if-match": '"3"',
        "idempotency-key": "k",
        "accept-language": "ru",
        "content-type": "application/json",
    }


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\x00", "é", "a\x7f", "x" * 1025])
def test_a_header_that_could_be_read_in_two_ways_is_refused(value: str) -> None:
    with pytest.raises(HeaderRefusedError, match="idempotency-key"):
        inward([("Idempotency-Key", value)])


def test_a_header_that_came_twice_is_refused() -> None:
    with pytest.raises(HeaderRefusedError, match="more than once"):
        inward([("If-Match", '"1"'), ("if-match", '"2"')])


def test_only_the_listed_headers_go_out() -> None:
    given = [
        ("ETag", '"3"'),
        ("Retry-After", "3"),
        ("Location", "/v1/tickets/1"),
        ("Content-Type", "application/json"),
        ("Content-Language", "ru"),
        ("Cache-Control", "private"),
        ("Set-Cookie", "a=b"),
        ("Server", "x"),
        ("Access-Control-Allow-Origin", "*"),
    ]
    assert sorted(outward(given)) == [
        "cache-control",
        "content-language",
        "content-type",
        "etag",
        "location",
        "retry-after",
    ]


@pytest.mark.parametrize("place", ["http://10.0.0.1/v1/x", "//evil/v1/", "/metrics", "/v1/a b"])
def test_no_other_place_is_named_to_the_caller(place: str) -> None:
    assert outward([("Location", place)]) == {}


@pytest.mark.parametrize(
    "query", [b"", b"a=1&b=%D0%B0+c", b"from=2026-01-01&zone=Europe/Moscow", b"a?b:@!$'(),;"]
)
def test_a_query_is_passed_on(query: bytes) -> None:
    assert is_query(query)


@pytest.mark.parametrize("query", [b"a b", b"a#b", b"\xd0\xb0", b"a\r\nb", b'"', b"<x>", b"a" * 8193])
def test_what_is_no_query_is_not_passed_on(query: bytes) -> None:
    assert not is_query(query)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ([("If-Match", '"1"'), ("if-match", '"1"')], "if-match: came more than once"),
        ([("If-Match", "x" * 1025)], "if-match: is longer than 1024 characters"),
        ([("If-Match", "é")], "if-match: holds characters other than printable ASCII"),
    ],
)
def test_a_refusal_says_which_header_and_why(given: list[tuple[str, str]], reason: str) -> None:
    with pytest.raises(HeaderRefusedError) as refused:
        inward(given)
    assert str(refused.value) == reason
    assert f"{refused.value.name}: {refused.value.reason}" == reason


def test_what_is_not_passed_on_hides_nothing_behind_it() -> None:
    assert inward([("Cookie", "a=b"), ("If-Match", '"1"')]) == {"if-match": '"1"'}


def test_a_header_and_a_query_may_be_as_long_as_that() -> None:
    assert inward([("Idempotency-Key", "~" * 1024)]) == {"idempotency-key": "~" * 1024}
    assert is_query(b"~" * 8192)


def test_the_owner_of_a_form_is_told_whose_page_it_was() -> None:
    given = [("Origin", "https://shop.example"), ("Cookie", "a=b")]
    assert inward(given, OF_FORMS) == {"origin": "https://shop.example"}
    assert inward(given) == {}
