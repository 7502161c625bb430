"""Which kind is opened, on which ports, and what is said when it can't be."""

import re
import socket
import threading
from pathlib import Path

import pytest

from deskline_local.errors import FolderInUse, NotControllable, PortTaken, StackError, StackUnavailable
from deskline_local.folder import Folder
from deskline_local.kafka import JVM_VARIABLE, SHORT_LIVED, KafkaProcess, Listener
from deskline_local.stack import Stack, open_stack

pytestmark = pytest.mark.unit


def hang_up(listener: socket.socket) -> None:
    listener.accept()[0].close()


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DESKLINE_STACK", raising=False)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")


def test_without_an_engine_the_servers_are_processes(folder: Path) -> None:
    assert open_stack(folder).kind == "processes"


def test_containers_forced_and_missing_says_what_to_do(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("DESKLINE_STACK", "containers")
    with pytest.raises(
        StackUnavailable, match=r"no container engine answers: start Docker .* DESKLINE_STACK=processes"
    ):
        open_stack(folder)


def test_a_socket_that_never_answers_is_no_engine(
    monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "mute.sock"))
        mute.listen()
        answered = threading.Thread(target=hang_up, args=[mute])
        answered.start()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/mute.sock")
        assert open_stack(folder).kind == "processes"
        answered.join()


def test_external_forced_and_missing_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setenv("DESKLINE_STACK", "external")
    monkeypatch.delenv("DESKLINE_EXTERNAL_KAFKA", raising=False)
    with pytest.raises(StackUnavailable, match="DESKLINE_EXTERNAL_KAFKA"):
        open_stack(folder)


def test_unknown_kind_names_those_that_exist(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("DESKLINE_STACK", "podman")
    with pytest.raises(StackUnavailable, match="processes, containers, external"):
        open_stack(folder)


def test_external_servers_are_never_killed_or_wiped(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("DESKLINE_EXTERNAL_KAFKA", "kafka.example:9092")
    monkeypatch.setenv(
        "DESKLINE_EXTERNAL_POSTGRES", "postgresql://boss:s%40cret@db.example:5433/postgres?sslmode=require"
    )
    stack = open_stack(folder, "external")
    for server in (stack.kafka, stack.postgres):
        for deed in (server.kill, server.wipe, server.pause, server.resume):
            with pytest.raises(NotControllable, match=server.name):
                deed()
        server.stop()
    assert stack.bootstrap == "kafka.example:9092"
    assert stack.database_url("x") == "postgresql://boss:s%40cret@db.example:5433/x?sslmode=require"
    assert stack.database_url("x", "me", "a/b") == "postgresql://me:a%2Fb@db.example:5433/x?sslmode=require"


@pytest.mark.parametrize(
    ("name", "variable"),
    [("kafka_port", "DESKLINE_LOCAL_KAFKA_PORT"), ("postgres_port", "DESKLINE_LOCAL_POSTGRES_PORT")],
)
def test_busy_port_is_one_line_with_the_port_and_the_variable(folder: Path, name: str, variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        stack = open_stack(folder, "processes", **{name: port})
        server = stack.kafka if name == "kafka_port" else stack.postgres
        with pytest.raises(PortTaken, match=rf"^port {port} .*{variable}[^\n]*$"):
            server.start()
        assert not server.running


def test_listener_is_opened_at_its_port_and_advertised_at_the_other(folder: Path) -> None:
    stack = open_stack(folder, "processes", listeners={"tickets": Listener(21_000, 22_000)})
    assert isinstance(stack.kafka, KafkaProcess)
    settings, port = stack.kafka.settings(), stack.kafka.port
    assert f"PLAINTEXT://127.0.0.1:{port},TICKETS://127.0.0.1:21000,CONTROLLER://" in settings["listeners"]
    told = f"PLAINTEXT://127.0.0.1:{port},TICKETS://127.0.0.1:22000"
    assert settings["advertised.listeners"] == told
    known = "PLAINTEXT:PLAINTEXT,TICKETS:PLAINTEXT,CONTROLLER:PLAINTEXT"
    assert settings["listener.security.protocol.map"] == known


def test_busy_port_of_a_listener_is_named(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        stack = open_stack(folder, "processes", listeners={"tickets": Listener(port, port + 1)})
        with pytest.raises(PortTaken, match=rf"^port {port} .*listener TICKETS"):
            stack.kafka.start()


def test_servers_of_others_have_no_further_listeners(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("DESKLINE_EXTERNAL_KAFKA", "kafka.example:9092")
    with pytest.raises(StackUnavailable, match="DESKLINE_STACK=processes, this stack is external"):
        open_stack(folder, "external", listeners={"tickets": Listener(21_000, 22_000)})


def test_port_variable_is_used_and_checked(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("DESKLINE_LOCAL_KAFKA_PORT", "19092")
    assert open_stack(folder, "processes").bootstrap == "127.0.0.1:19092"
    monkeypatch.setenv("DESKLINE_LOCAL_KAFKA_PORT", "high")
    with pytest.raises(StackError, match="DESKLINE_LOCAL_KAFKA_PORT=high is no port"):
        open_stack(folder, "processes")


def test_addresses_and_passwords_stay_the_same(folder: Path) -> None:
    def addresses(stack: Stack) -> tuple[str, str]:
        return stack.bootstrap, stack.database_url()

    first = addresses(open_stack(folder, "processes"))
    assert addresses(open_stack(folder, "processes")) == first
    assert len(set(re.findall(r"127\.0\.0\.1:(\d+)", " ".join(first)))) == 2


def test_passwords_are_for_the_owners_eyes(folder: Path) -> None:
    open_stack(folder, "processes")
    assert (folder / "passwords.json").stat().st_mode & 0o777 == 0o600


def test_folder_has_one_owner_at_a_time(folder: Path) -> None:
    first, second = Folder(folder), Folder(folder)
    first.claim()
    first.claim()
    with pytest.raises(FolderInUse, match="stop that one first"):
        second.claim()
    first.release()
    second.claim()
    second.release()


def test_jvm_of_kafka_takes_further_options_from_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(JVM_VARIABLE, f"-Xss512k {SHORT_LIVED}")
    with open_stack(folder, "processes") as stack:
        found = Path(f"/proc/{stack.kafka.pid}/cmdline").read_bytes().split(b"\0")
    assert {b"-Xss512k", SHORT_LIVED.encode()} <= set(found)
