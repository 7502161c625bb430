"""The cache of Kafka's jars: checked, repaired, and safe for processes that start together."""

import hashlib
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from deskline_local.errors import JarsUnavailable
from deskline_local.jars import Jar, ensure_jars, read_lock

pytestmark = pytest.mark.unit

NAMES = [f"part{number}" for number in range(8)]


def content(jar_name: str) -> bytes:
    return jar_name.encode() * 10_000


def fetch(jar: Jar, incoming: Path) -> Path:
    incoming.mkdir(parents=True, exist_ok=True)
    path = incoming / jar.file_name
    path.write_bytes(content(jar.artifact))
    return path


def tampered(jar: Jar, incoming: Path) -> Path:
    path = fetch(jar, incoming)
    path.write_bytes(b"something else")
    return path


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "kafka.lock"
    lines = [f"test:{name}:1.0 {hashlib.sha256(content(name)).hexdigest()}\n" for name in NAMES]
    path.write_text("".join(lines))
    return path


def test_lock_names_kafka_and_its_logging_with_checksums() -> None:
    jars = {jar.artifact: jar for jar in read_lock()}
    assert jars["kafka_2.13"].version == jars["kafka-clients"].version == "4.3.1"
    assert "log4j-slf4j-impl" in jars
    assert all(len(jar.sha256) == 64 for jar in jars.values())


def test_jars_are_downloaded_once(tmp_path: Path, lock: Path) -> None:
    said: list[str] = []
    paths = ensure_jars(said.append, tmp_path, fetch, lock)
    assert [path.read_bytes() for path in paths] == [content(name) for name in NAMES]
    assert any(line.startswith("8/8 ") for line in said)
    said.clear()
    assert ensure_jars(said.append, tmp_path, tampered, lock) == paths
    assert said == []


def test_damaged_jar_is_told_and_downloaded_again(tmp_path: Path, lock: Path) -> None:
    broken = ensure_jars(lambda _: None, tmp_path, fetch, lock)[3]
    broken.write_bytes(content("part3")[:-1])
    said: list[str] = []
    ensure_jars(said.append, tmp_path, fetch, lock)
    assert broken.read_bytes() == content("part3")
    assert "part3-1.0.jar" in said[0]
    assert "damaged" in said[0]


def test_jar_with_another_checksum_is_tried_again_then_refused(tmp_path: Path, lock: Path) -> None:
    tries: Counter[str] = Counter()

    def one_tampered(jar: Jar, incoming: Path) -> Path:
        tries[jar.artifact] += 1
        return tampered(jar, incoming) if jar.artifact == "part5" else fetch(jar, incoming)

    with pytest.raises(JarsUnavailable, match=r"part5-1\.0\.jar arrived twice with another checksum"):
        ensure_jars(lambda _: None, tmp_path, one_tampered, lock)
    assert tries["part5"] == 2
    assert not (tmp_path / "kafka" / "part5-1.0.jar").exists()


def test_missing_network_is_told_with_the_way_out(tmp_path: Path, lock: Path) -> None:
    def cut(_: Jar, __: Path) -> Path:
        message = "no route to host"
        raise OSError(message)

    with pytest.raises(JarsUnavailable, match=r"no route to host.*DESKLINE_MAVEN_URL"):
        ensure_jars(lambda _: None, tmp_path, cut, lock)


def test_processes_that_start_together_download_each_jar_once(tmp_path: Path, lock: Path) -> None:
    script = f"""
import sys
from pathlib import Path
from deskline_local.jars import ensure_jars
def fetch(jar, incoming):
    incoming.mkdir(parents=True, exist_ok=True)
    with open({str(tmp_path / "fetched")!r}, "a") as log:
        log.write(jar.artifact + "\\n")
    path = incoming / jar.file_name
    path.write_bytes(jar.artifact.encode() * 10_000)
    return path
print("ready", flush=True)
sys.stdin.readline()
ensure_jars(lambda _: None, Path({str(tmp_path)!r}), fetch, Path({str(lock)!r}))
"""
    starters = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for starter in starters:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "ready\n"
    for starter in starters:
        assert starter.stdin is not None
        starter.stdin.write("go\n")
        starter.stdin.flush()
    for starter in starters:
        starter.communicate(timeout=60)
    assert [starter.returncode for starter in starters] == [0, 0, 0, 0]
    assert sorted((tmp_path / "fetched").read_text().split()) == NAMES
