"""Kafka's jars: named with their SHA-256 in kafka.lock, downloaded once, checked before each start."""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deskline_local.errors import JarsUnavailable

KAFKA = ("org.apache.kafka", "kafka_2.13", "4.3.1")
LOGGING = ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.4")  # Kafka writes its log through it
LOCK = Path(__file__).with_name("kafka.lock")
AT_ONCE = 6

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Jar:
    """One artifact of the lock."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


Fetch = Callable[[Jar, Path], Path]


def cache_folder() -> Path:
    """Where downloads are kept: DESKLINE_CACHE, or the user's cache."""
    chosen = os.environ.get("DESKLINE_CACHE")
    return Path(chosen).absolute() if chosen else Path.home() / ".cache" / "deskline"


def read_lock(path: Path = LOCK) -> list[Jar]:
    jars = []
    for line in path.read_text(encoding="utf-8").splitlines():
        coordinate, checksum = line.split()
        group, artifact, version = coordinate.split(":")
        jars.append(Jar(group, artifact, version, checksum))
    return jars


def ensure_jars(
    progress: Progress, cache: Path | None = None, fetch: Fetch | None = None, lock: Path = LOCK
) -> list[Path]:
    """The checked class path; whatever is missing or damaged is downloaded, by one process at a time."""
    folder = (cache or cache_folder()) / "kafka"
    jars = read_lock(lock)
    if _wanting(jars, folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            wanting = _wanting(jars, folder)  # another process may have been quicker
            for jar in wanting:
                if (folder / jar.file_name).exists():
                    progress(f"{jar.file_name} in {folder} is damaged: downloading it again")
            _download(wanting, folder, fetch or fetch_with_jgo, progress)
    return [folder / jar.file_name for jar in jars]


def _wanting(jars: list[Jar], folder: Path) -> list[Jar]:
    return [jar for jar in jars if _checksum(folder / jar.file_name) != jar.sha256]


def _checksum(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _download(jars: list[Jar], folder: Path, fetch: Fetch, progress: Progress) -> None:
    if not jars:
        return
    progress(f"downloading {len(jars)} jars of Kafka {KAFKA[2]} into {folder}")
    # Inside the cache, so that the last step is a rename within one file system.
    with tempfile.TemporaryDirectory(dir=folder, prefix="incoming-") as incoming:
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            running = [pool.submit(_fetch_checked, jar, Path(incoming), folder, fetch) for jar in jars]
            for count, done in enumerate(as_completed(running), start=1):
                progress(f"{count}/{len(jars)} {done.result().name}")
        finally:
            pool.shutdown(cancel_futures=True)


def _fetch_checked(jar: Jar, incoming: Path, folder: Path, fetch: Fetch) -> Path:
    got: str | None = None
    for attempt in ("first", "second"):
        try:
            arrived = fetch(jar, incoming / attempt)
        except Exception as failure:
            message = (
                f"{jar.file_name} can't be downloaded ({failure}). Check the network, or name a Maven "
                "repository that this machine reaches in DESKLINE_MAVEN_URL"
            )
            raise JarsUnavailable(message) from failure
        got = _checksum(arrived)
        if got == jar.sha256:
            return arrived.replace(folder / jar.file_name)
    message = (
        f"{jar.file_name} arrived twice with another checksum than kafka.lock names "
        f"(wanted {jar.sha256}, got {got}): it is not used"
    )
    raise JarsUnavailable(message)


def _context(repository: Path) -> Any:
    from jgo.maven import MavenContext  # noqa: PLC0415 - half a second, needed once per machine

    mirror = os.environ.get("DESKLINE_MAVEN_URL")
    return MavenContext(
        repo_cache=repository, remote_repos={"mirror": mirror.rstrip("/")} if mirror else None
    )


def fetch_with_jgo(jar: Jar, repository: Path) -> Path:
    """Download one jar by its coordinate."""
    context: Any = _context(repository)
    return Path(context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve())


def resolve_lock(progress: Progress, path: Path = LOCK) -> None:
    """Resolve Kafka's dependencies anew and write the lock."""
    from jgo.parse import Coordinate  # noqa: PLC0415 - as above

    with tempfile.TemporaryDirectory() as repository:
        context: Any = _context(Path(repository))
        # The logging binding is added by itself: its BOM would choose other versions for Kafka.
        inputs, rest = context.resolver.resolve(
            [context.create_dependency(Coordinate(*KAFKA, scope="compile"))]
        )
        wanted = [*inputs, *(dependency for dependency in rest if dependency.scope in {"compile", "runtime"})]
        artifacts = [dependency.artifact for dependency in wanted]
        artifacts.append(context.project(*LOGGING[:2]).at_version(LOGGING[2]).artifact())
        lines = []
        for artifact in artifacts:
            checksum = _checksum(Path(artifact.resolve()))
            lines.append(f"{artifact.groupId}:{artifact.artifactId}:{artifact.version} {checksum}\n")
            progress(str(artifact))
    path.write_text("".join(sorted(lines)), encoding="utf-8")
