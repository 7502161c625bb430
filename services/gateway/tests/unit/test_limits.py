"""How often somebody may come, whom they are counted as, and what language they read."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskline_gateway.domain.addresses import remote_of
from deskline_gateway.domain.languages import language_of
from deskline_gateway.domain.limits import Allowance, Rate

pytestmark = pytest.mark.unit

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def test_a_burst_passes_and_then_the_rate() -> None:
    allowance = Allowance(Rate(2.0, 3))
    assert [allowance.take("a", 100.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert allowance.take("a", 100.25) == 0.25
    assert allowance.take("a", 100.5) == 0.0
    assert allowance.take("a", 100.5) == 0.5
    assert allowance.take("b", 100.5) == 0.0
    # After a rest the burst is there again, and no more than it.
    assert [allowance.take("a", 200.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_whoever_waits_as_told_is_let_in() -> None:
    allowance, now = Allowance(Rate(7.0, 1)), 1e6
    assert allowance.take("a", now) == 0.0
    for _ in range(1000):
        wait = allowance.take("a", now)
        assert 0.0 < wait <= 1 / 7 + 1e-6
        now += wait
        assert allowance.take("a", now) == 0.0


@given(
    rate=st.floats(0.1, 50),
    burst=st.integers(1, 20),
    pauses=st.lists(st.floats(0, 2), min_size=1, max_size=100),
)
def test_never_more_than_the_burst_and_the_rate(rate: float, burst: int, pauses: list[float]) -> None:
    allowance, now, passed = Allowance(Rate(rate, burst)), 50.0, 0
    for pause in pauses:
        now += pause
        passed += allowance.take("a", now) == 0.0
    assert passed <= burst + rate * (now - 50.0) + 1e-3
    assert passed >= 1


def test_keys_are_bounded_and_the_longest_silent_is_forgotten() -> None:
    allowance = Allowance(Rate(0.001, 1), most_keys=2)
    assert [allowance.take(key, 1.0) for key in "abc"] == [0.0, 0.0, 0.0]
    assert allowance.take("c", 1.0) > 0
    assert allowance.take("b", 1.0) > 0
    assert allowance.take("a", 1.0) == 0.0
    assert len(allowance._next) == 2


@pytest.mark.parametrize(
    ("peer", "forwarded", "remote"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.1"], "192.0.2.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, 192.0.2.9"], "192.0.2.9"),
        ("10.0.0.1", ["198.51.100.1", "192.0.2.9, 10.1.1.1"], "192.0.2.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.9, nonsense, 10.2.2.2"], "10.2.2.2"),
        ("::ffff:10.0.0.1", ["::ffff:192.0.2.9"], "192.0.2.9"),
        ("2001:db8:1:2:3:4:5:6", [], "2001:db8:1:2::/64"),
        ("fd00::1", ["2001:db8:1:2::9"], "2001:db8:1:2::/64"),
        ("", [], "unknown"),
        ("testclient", ["192.0.2.9"], "unknown"),
    ],
)
def test_a_stranger_is_the_last_address_that_no_proxy_of_ours_wrote(
    peer: str, forwarded: list[str], remote: str
) -> None:
    assert remote_of(peer, forwarded, PROXIES) == remote


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("ru", "ru"),
        ("ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        ("en,ru;q=0.9", "en"),
        ("de", "en"),
        ("ru;q=x", "en"),
        ("en;q=0.1, RU ;q=0.2", "ru"),
        ("en, ru;q=1.5", "ru"),
        ("en;q=1.0, ru", "en"),
        ("en;q=1.5, ru", "en"),
        ("ru-Cyrl-RU", "ru"),
        ("ru;q=0.9=1, en;q=0.1", "en"),
        ("ru;a=b;q=0, en;q=0.5", "ru"),
        ("x" * 197 + ",ru", "ru"),
        ("x" * 198 + ",ru", "en"),
        ("x" * 300 + ",ru", "en"),
    ],
)
def test_russian_is_spoken_where_it_is_preferred(header: str | None, language: str) -> None:
    assert language_of(header) == language
