"""The cluster that KUBECONFIG names, with Deskline in it for as long as the tests run."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.kubernetes.cluster import Cluster, connected, say
from tests.kubernetes.deployment import ROOT, Deployed, installed, reached

from deskline_local.ports import choose

FOLDER: Final = ROOT / ".deskline" / "kubernetes"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    config = os.environ.get("KUBECONFIG", "")
    if not config or not all(Path(one).is_file() for one in config.split(os.pathsep)):
        pytest.fail(f"set KUBECONFIG to a cluster that may be used for this; it is {config!r}", pytrace=False)
    missing = [tool for tool in ("kubectl", "openssl") if shutil.which(tool) is None]
    if missing:
        pytest.fail(f"not installed: {', '.join(missing)}", pytrace=False)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with connected(FOLDER) as found:
        yield found


@pytest.fixture(scope="session")
def deployed(cluster: Cluster) -> Iterator[Deployed]:
    kafka_port = choose()
    with installed(cluster, FOLDER, kafka_port), reached(cluster, FOLDER, kafka_port) as found:
        say("installed, and its doors reached")
        yield found
