"""Roots on servers of this machine."""

import itertools
import os

import pytest

from rmset.root import Root
from tests.remote import servers

_numbers = itertools.count()


@pytest.fixture(scope="session", autouse=True)
def _needs_the_extra():
    pytest.importorskip("obstore", reason="needs the extra s3: pip install 'rmset[s3]'")


@pytest.fixture(scope="session")
def moto():
    """Address of a moto server."""
    with servers.moto() as url:
        yield url


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory):
    """Address of a SeaweedFS server."""
    with servers.seaweed(tmp_path_factory.mktemp("weed")) as url:
        yield url


@pytest.fixture
def aws(monkeypatch, tmp_path):
    """Credentials in the environment, where the provider's chain finds them; returns a setter of the server."""
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", servers.KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", servers.SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("RMSET_CACHE", str(tmp_path / "cache"))
    return lambda url: monkeypatch.setenv("AWS_ENDPOINT_URL", url)


@pytest.fixture
def place(aws, moto):
    """Address of an empty root on moto."""
    aws(moto)
    name = f"bucket-{next(_numbers)}"
    servers.bucket(moto, name)
    return f"s3://{name}/data/rmset"


@pytest.fixture
def remote(place):
    """An empty root on moto."""
    return Root(place)


@pytest.fixture(scope="session")
def azurite():
    """Address of an Azurite server."""
    with servers.azurite() as url:
        yield url


@pytest.fixture(scope="session")
def google():
    """Address of a fake-gcs-server."""
    with servers.google() as url:
        yield url
