"""The proxy does to a connection what it says, and keeps bytes whole and in order otherwise."""

import contextlib
import errno
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from tests.chaos.faults.forwarding import HELD_BYTES
from tests.chaos.faults.proxy import Proxy

from deskline_local import ports

pytestmark = pytest.mark.component

PATIENCE = 20.0
STILL = 0.3
MEBIBYTE = 1024 * 1024


class Echo:
    """Sends back what it gets, each connection in a thread; sees how connections end."""

    def __init__(self) -> None:
        self._listener = socket.create_server((ports.HOST, 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self.ended: list[str] = []
        self.silent = False
        self._threads[0].start()

    @property
    def address(self) -> tuple[str, int]:
        return ports.HOST, self._listener.getsockname()[1]

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=[connection], daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65_536):
                    if not self.silent:
                        connection.sendall(data)
                self.ended.append("end")
            except ConnectionResetError:
                self.ended.append("reset")

    def close(self) -> None:
        # A close alone does not wake a thread in accept.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()


@pytest.fixture
def echo() -> Iterator[Echo]:
    made = Echo()
    yield made
    made.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy(echo.address) as made:
        yield made


@contextmanager
def connected(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection((ports.HOST, proxy.port), PATIENCE) as client:
        yield client


def echoed(client: socket.socket, data: bytes) -> None:
    client.sendall(data)
    assert received(client, len(data)) == data


def send_all(client: socket.socket, data: bytes) -> None:
    client.sendall(data)
    client.shutdown(socket.SHUT_WR)


def received(client: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size and (more := client.recv(size - len(found))):
        found += more
    return found


def taken_by(client: socket.socket) -> int:
    """How many bytes it took before it stood still."""
    client.settimeout(STILL)
    taken = 0
    with suppress(TimeoutError):
        while taken < 64 * MEBIBYTE:
            taken += client.send(bytes(65_536))
    return taken


def is_reset(client: socket.socket) -> bool:
    try:
        while client.recv(65_536):
            pass
    except ConnectionResetError:
        return True
    return False


def until(what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


def test_bytes_of_both_directions_go_through_whole_and_are_counted(echo: Echo, proxy: Proxy) -> None:
    sent = bytes(range(256)) * 4 * 8192
    with connected(proxy) as client:
        sender = threading.Thread(target=send_all, args=[client, sent])
        sender.start()
        back = received(client, len(sent))
        assert client.recv(1) == b""
        sender.join(PATIENCE)
    assert hashlib.sha256(back).digest() == hashlib.sha256(sent).digest()
    until("its end was passed on", lambda: echo.ended == ["end"])
    assert (proxy.connections, proxy.forwarded, proxy.resets) == (1, 2 * len(sent), 0)


def test_cut_resets_what_is_open_and_refuses_until_healed(echo: Echo, proxy: Proxy) -> None:
    with connected(proxy) as client, connected(proxy) as other:
        echoed(client, b"before")
        echoed(other, b"before")
        proxy.cut()
        assert is_reset(client)
        assert is_reset(other)
    until("the target sees it too", lambda: echo.ended == ["reset", "reset"])
    assert proxy.resets == 2
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((ports.HOST, proxy.port), 1)
    assert not ports.is_free(proxy.port)
    proxy.heal()
    with connected(proxy) as client:
        echoed(client, b"after")
    assert proxy.connections == 3


def test_half_open_connection_is_silent_and_loses_nothing(proxy: Proxy) -> None:
    with connected(proxy) as client:
        echoed(client, b"before")
        proxy.half_open()
        with connected(proxy) as late:
            for one in (client, late):
                one.sendall(b"asked")
                one.settimeout(STILL)
                with pytest.raises(TimeoutError):
                    one.recv(1)
                one.settimeout(PATIENCE)
            assert proxy.resets == 0
            proxy.heal()
            assert received(client, 5) == received(late, 5) == b"asked"


def test_half_open_link_holds_a_bounded_number_of_bytes(proxy: Proxy) -> None:
    with connected(proxy) as client:
        echoed(client, b"before")
        proxy.half_open()
        # What the kernel's buffers take comes to it.
        assert HELD_BYTES / 2 < taken_by(client) < 32 * MEBIBYTE


def test_delay_holds_in_both_directions_and_keeps_the_order(proxy: Proxy) -> None:
    with connected(proxy) as client:
        echoed(client, b"before")
        proxy.delay(0.2)
        began = time.monotonic()
        client.sendall(b"first")
        time.sleep(0.02)
        proxy.delay(0.05)
        client.sendall(b"second")
        assert received(client, 11) == b"firstsecond"
        assert time.monotonic() - began >= 0.25
        proxy.heal()
        began = time.monotonic()
        echoed(client, b"after")
        assert time.monotonic() - began < 0.2


def test_frame_is_cut_after_so_many_bytes_and_never_whole(echo: Echo, proxy: Proxy) -> None:
    echo.silent = True
    with connected(proxy) as client:
        client.sendall(b"x" * 100)
        until("forwarded", lambda: proxy.forwarded == 100)
        proxy.cut_in_frame(1000)
        client.sendall(b"y" * 600)
        until("still carried", lambda: proxy.forwarded == 700)
        client.sendall(b"z" * 600)
        assert is_reset(client)
    assert proxy.forwarded == 1100
    assert proxy.resets == 1
    until("the target sees it too", lambda: echo.ended == ["reset"])
    with connected(proxy) as client:
        client.sendall(b"n" * 1001)
        assert is_reset(client)
    proxy.heal()
    echo.silent = False
    with connected(proxy) as client:
        echoed(client, b"a" * 5000)
    assert proxy.resets == 2


def test_frame_at_the_border_is_cut_in_its_middle(echo: Echo, proxy: Proxy) -> None:
    echo.silent = True
    proxy.cut_in_frame(100)
    with connected(proxy) as client:
        client.sendall(b"x" * 100)
        until("forwarded", lambda: proxy.forwarded == 100)
        client.sendall(b"y" * 50)
        assert is_reset(client)
    assert proxy.forwarded == 125


def test_target_that_is_not_there_resets_and_is_found_when_it_comes() -> None:
    port = ports.choose()
    with Proxy((ports.HOST, port)) as proxy:
        # The reset may come before the client knows that it is connected.
        with contextlib.suppress(ConnectionResetError), connected(proxy) as client:
            assert is_reset(client)
        assert proxy.resets == 0
        with socket.create_server((ports.HOST, port)) as server, connected(proxy) as client:
            served, _ = server.accept()
            with served:
                client.sendall(b"hello")
                assert received(served, 5) == b"hello"


def test_targets_reset_reaches_the_client() -> None:
    with (
        socket.create_server((ports.HOST, 0)) as server,
        Proxy((ports.HOST, server.getsockname()[1])) as proxy,
        connected(proxy) as client,
    ):
        served, _ = server.accept()
        client.sendall(b"never read")
        until("arrived", lambda: proxy.forwarded == 10)
        served.close()
        assert is_reset(client)
        assert proxy.resets == 0


def test_stop_leaves_no_thread_no_port_and_can_be_repeated(echo: Echo) -> None:
    proxy = Proxy(echo.address)
    proxy.start()
    with connected(proxy) as client:
        echoed(client, b"before")
        proxy.half_open()
        proxy.stop()
        assert is_reset(client)
    proxy.stop()
    assert ports.is_free(proxy.port)
    assert not [one for one in threading.enumerate() if one.name == f"proxy {proxy.port}"]


def test_taken_port_is_refused(echo: Echo) -> None:
    with pytest.raises(OSError) as refused:
        Proxy(echo.address, echo.address[1]).start()
    assert refused.value.errno == errno.EADDRINUSE
