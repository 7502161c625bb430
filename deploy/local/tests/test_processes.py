"""What is left of a stack whose owner was killed, and what the next start does about it."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import psycopg
import pytest

from deskline_local import process
from deskline_local.errors import FolderInUse, StartFailed
from deskline_local.process import Child
from deskline_local.stack import open_stack

OWNER = """
import sys, threading
from pathlib import Path
import psutil, psycopg
from deskline_local.stack import open_stack
from deskline_local.supervisor import Supervisor
folder = Path(sys.argv[1])
stack, supervisor = open_stack(folder, "processes"), Supervisor()
def begin():
    stack.start()
    pause = [sys.executable, "-c", "import signal; signal.pause()"]
    supervisor.start("service", pause, folder / "service.log")
starter = threading.Thread(target=begin)  # a thread that ends: what it started must live on
starter.start()
starter.join()
url = stack.create_service_database("kept").owner_url
with psycopg.connect(url) as connection:
    connection.execute("CREATE TABLE IF NOT EXISTS facts (n int)")
    connection.execute("INSERT INTO facts VALUES (1)")
assert stack.kafka.running and stack.postgres.running and supervisor.pid("service")
print(*(child.pid for child in psutil.Process().children(recursive=True)), flush=True)
sys.stdin.readline()
"""


def wait_until_gone(pids: list[int]) -> list[int]:
    """Those that still run after 10 s; a zombie that nobody reaps is gone."""

    def runs(pid: int) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        return False

    never = threading.Event()
    for _ in range(1_000):
        if not (pids := [pid for pid in pids if runs(pid)]):
            break
        never.wait(0.01)
    return pids


@pytest.mark.component
def test_nothing_outlives_a_killed_owner_and_its_folder_starts_again(folder: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout is not None
        pids = [int(pid) for pid in owner.stdout.readline().split()]
        assert len(pids) > 5
        owner.kill()
    assert wait_until_gone(pids) == []
    with open_stack(folder, "processes") as stack:
        url = stack.create_service_database("kept").owner_url
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM facts").fetchone() == (1,)


@pytest.mark.component
def test_second_owner_is_refused_and_ends_nothing(folder: Path) -> None:
    first, second = open_stack(folder, "processes"), open_stack(folder, "processes")
    first.postgres.start()
    pid = first.postgres.pid
    for start in (second.start, second.postgres.start):
        with pytest.raises(FolderInUse):
            start()
    assert first.postgres.pid == pid
    first.stop()


ONE_STACK = """
from deskline_local import testing
first = testing.session_stack()
assert testing.session_stack() is first
print(first.kafka.pid, first.postgres.pid, first.folder, flush=True)
"""


@pytest.mark.component
def test_session_stack_is_one_and_stops_with_its_interpreter() -> None:
    # In a process of its own: the stack of this session belongs to the other tests as well.
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ONE_STACK],
        capture_output=True,
        text=True,
        check=True,
        timeout=90,
    )
    kafka, postgres, folder = done.stdout.split()
    assert done.stderr == ""
    assert wait_until_gone([int(kafka), int(postgres)]) == []
    assert not Path(folder).exists()


@pytest.mark.component
def test_server_that_can_not_start_shows_its_log(folder: Path) -> None:
    stack = open_stack(folder, "processes")
    stack.postgres.start()
    stack.postgres.stop()
    (folder / "postgres" / "data" / "global" / "pg_control").write_bytes(b"")
    with pytest.raises(StartFailed, match=r"(?s)postgres ended while starting.*pg_control"):
        stack.postgres.start()
    assert not stack.postgres.running


@pytest.mark.unit
def test_leftover_is_ended_only_with_the_recorded_start_time(tmp_path: Path) -> None:
    pause = [sys.executable, "-c", "import signal; signal.pause()"]
    record = tmp_path / "server.pid"
    with subprocess.Popen(pause) as stranger:
        record.write_text(json.dumps({"pid": stranger.pid, "created": 1_000_000.0}))
        assert not process.end_recorded(record)
        assert stranger.poll() is None
        assert not record.exists()
        process.record(record, stranger.pid)
        assert process.end_recorded(record)
        assert stranger.wait(10) == -9
    assert not process.end_recorded(record)


@pytest.mark.unit
def test_child_that_can_not_be_executed_ends_with_a_reason(tmp_path: Path) -> None:
    child = Child("nothing", [str(tmp_path / "nothing")], tmp_path / "log")
    assert child.wait(10)
    child.join()
    assert child.exit_code == 1
    assert "FileNotFoundError" in (tmp_path / "log").read_text()


@pytest.mark.unit
def test_child_leaves_no_thread_and_ignores_signals_after_its_end(tmp_path: Path) -> None:
    before = threading.active_count()
    child = Child("sleeper", [sys.executable, "-c", "import signal; signal.pause()"], tmp_path / "log")
    assert threading.active_count() == before + 1
    child.kill()
    assert threading.active_count() == before
    assert child.exit_code == -9
    child.kill()
    child.stop(signal.SIGTERM, 1)
