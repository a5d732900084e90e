"""Settings of the stores in the environment: which server, whether encrypted, whose credentials.

obstore reads most of them itself. Here is what it leaves open, and what messages say of them.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from rmset.errors import RootError

# Where a server other than the provider's is named; the first that is set counts.
_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
_SIGN_IN = {
    "s3": "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS to a file of them, or give the machine a service account",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or give the machine an identity",
}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def opened(url: str, bucket: str, prefix: str, patience: float) -> Any:
    """Return obstore's store for a bucket; no request is made yet.

    Args:
        url: address of the root.
        bucket: bucket, or container.
        prefix: prefix of all names.
        patience: how long to wait for the next byte of an answer, s.

    Raises:
        RootError: the extra is not installed, or the settings are faulty.
    """
    try:
        from obstore.store import AzureStore, GCSStore, S3Store
    except ImportError:
        raise RootError(
            f"{url}: expected the extra `s3` for roots on object stores, found it missing; pip install 'rmset[s3]'"
        ) from None
    common: dict[str, Any] = {
        "prefix": prefix or None,
        "client_options": {
            "connect_timeout": f"{max(1, round(patience / 3))}s",
            "read_timeout": f"{round(1000 * patience)}ms",
            # for a whole part at a megabyte a second and less
            "timeout": f"{round(60 + 2 * patience)}s",
            "allow_http": _allows_http(url),
        },
        "retry_config": {
            "max_retries": 3,
            "retry_timeout": timedelta(seconds=4 * patience),
            "backoff": {
                "init_backoff": timedelta(milliseconds=100),
                "max_backoff": timedelta(seconds=5),
                "base": 2,
            },
        },
    }
    try:
        if _scheme(url) == "gs":
            return GCSStore(bucket, **common)
        if _scheme(url) == "az":
            return AzureStore(bucket, **common)
        return S3Store(bucket, checksum_algorithm="SHA256", **common, **_s3_credentials(url))
    except RootError:
        raise
    except Exception as error:
        kind = type(error).__name__
        raise RootError(
            f"{url}: expected settings of the store in the environment, found faulty ones ({kind}); "
            f"{how_to_sign_in(url)}"
        ) from None


def how_to_sign_in(url: str) -> str:
    """Return the advice of a message about credentials."""
    return _SIGN_IN[_scheme(url)]


def server(url: str) -> str:
    """Return " of SERVER (SETTING)" for messages if a setting names the server; else nothing."""
    name, value = _endpoint(url)
    return f" of {urlsplit(value).netloc.rpartition('@')[2][:80]} ({name})" if name else ""


def _scheme(url: str) -> str:
    return url.partition("://")[0]


def _endpoint(url: str) -> tuple[str, str]:
    """Name and value of the setting that names a server; empty if there is none."""
    return next(((name, os.environ[name]) for name in _ENDPOINTS[_scheme(url)] if os.environ.get(name)), ("", ""))


def _allows_http(url: str) -> bool:
    """Whether connections may be unencrypted: on this machine, or where the user says so.

    Raises:
        RootError: the setting asks for it elsewhere.
    """
    name, value = _endpoint(url)
    server = urlsplit(value)
    if server.hostname in _LOOPBACK or os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true":
        return True
    if server.scheme == "http":
        raise RootError(
            f"{url}: expected https in {name}, found http to another machine, which would send faces unencrypted; "
            "correct it, or set AWS_ALLOW_HTTP=true"
        )
    return False


def _s3_credentials(url: str) -> dict[str, Any]:
    """Return boto3's chain (profiles, single sign-on, roles), if the environment does not hold a key itself."""
    if os.environ.get("AWS_ACCESS_KEY_ID") and os.environ.get("AWS_SECRET_ACCESS_KEY"):
        return {}
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider

        return {"credential_provider": Boto3CredentialProvider()}
    except Exception:
        raise RootError(f"{url}: expected AWS credentials, found none; {how_to_sign_in(url)}") from None
