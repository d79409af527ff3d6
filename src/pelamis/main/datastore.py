"""Which store a cluster keeps its objects in: SQLite in its directory, or etcd, which several servers share.

What ``--datastore`` and its companions say is checked at ``up``, so that a mistake is told there and not in a log.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from pelamis.main.config import Cluster, ConfigError
from pelamis.store.types import Store, Unusable

FILES = ("datastore_ca", "datastore_cert", "datastore_key", "datastore_password_file")
_EXAMPLE = "for example: --datastore etcd=http://127.0.0.1:2379"


def endpoints(text: str) -> list[str]:
    """The URLs of ``etcd=URL[,URL…]``. Raises ConfigError."""
    kind, separator, rest = text.partition("=")
    if kind != "etcd" or not separator:
        raise ConfigError(f"--datastore {text}: the only datastore besides the built-in one is etcd ({_EXAMPLE})")
    urls = [url.strip().rstrip("/") for url in rest.split(",") if url.strip()]
    if not urls:
        raise ConfigError(f"--datastore {text}: no address of etcd was given ({_EXAMPLE})")
    for url in urls:
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise ConfigError(f"--datastore: {url} is not an address: {error}") from None
        if parts.scheme not in ("http", "https") or not host:
            raise ConfigError(f"--datastore: {url} must begin with http:// or https:// and name a host ({_EXAMPLE})")
        if parts.username or parts.password:
            raise ConfigError("--datastore: name the user with --datastore-user and --datastore-password-file")
        if parts.path or parts.query:
            raise ConfigError(f"--datastore: {url}: an address of etcd has no path")
    if len({urlsplit(url).scheme for url in urls}) > 1:
        raise ConfigError("--datastore: all addresses must be http:// or all https://")
    return urls


def with_datastore(cluster: Cluster, text: str | None, options: dict[str, str | None]) -> Cluster:
    """The cluster with what the flags say; options: the names of ``FILES`` and ``datastore_user``. Touches nothing."""
    given = {name: value for name, value in options.items() if value}
    if text is None and not given:
        return cluster
    if text is not None:
        endpoints(text)
        if not cluster.datastore and cluster.path("store").exists():
            raise ConfigError(
                f'cluster "{cluster.name}" keeps its objects in {cluster.path("store")}; they cannot be moved to etcd. '
                "Make another cluster with --name, or delete this one with `pelamis down --purge`"
            )
        cluster = replace(cluster, datastore=text)
    if not cluster.datastore:
        raise ConfigError(f"--{next(iter(given)).replace('_', '-')} needs --datastore ({_EXAMPLE})")
    for name in FILES:
        if name in given:
            given[name] = str(Path(str(given[name])).resolve())
    cluster = replace(cluster, **given)  # type: ignore[arg-type]
    secure = cluster.datastore.startswith("etcd=https")
    if not secure and (cluster.datastore_ca or cluster.datastore_cert or cluster.datastore_key):
        raise ConfigError("--datastore-ca, --datastore-cert and --datastore-key need https:// in --datastore")
    if bool(cluster.datastore_cert) != bool(cluster.datastore_key):
        raise ConfigError("--datastore-cert and --datastore-key belong together: give both")
    if bool(cluster.datastore_user) != bool(cluster.datastore_password_file):
        raise ConfigError("--datastore-user and --datastore-password-file belong together: give both")
    return cluster


def _context(cluster: Cluster) -> ssl.SSLContext | None:
    if not cluster.datastore.startswith("etcd=https"):
        return None
    at = cluster.datastore_ca
    try:
        context = ssl.create_default_context(cafile=at or None)
        if cluster.datastore_cert:
            at = f"{cluster.datastore_cert} with {cluster.datastore_key}"
            context.load_cert_chain(cluster.datastore_cert, cluster.datastore_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{at} cannot be used for the datastore: {error}") from None
    context.set_alpn_protocols(["h2"])
    return context


def make_store(cluster: Cluster) -> Store:
    """Not yet open. Raises ConfigError for files that cannot be used."""
    if not cluster.datastore:
        from pelamis.store.sqlite import SqliteStore

        return SqliteStore(cluster.path("store"))
    from pelamis.store.etcd import EtcdStore, Login

    login = None
    if cluster.datastore_user:
        try:
            password = Path(cluster.datastore_password_file).read_text().rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{cluster.datastore_password_file} cannot be read: {error}") from None
        login = Login(cluster.datastore_user, password)
    return EtcdStore(endpoints(cluster.datastore), _context(cluster), login)


async def open_store(cluster: Cluster) -> Store:
    """Raises Unusable."""
    try:
        store = make_store(cluster)
    except ConfigError as error:
        raise Unusable(str(error)) from None
    await store.open()
    return store


def check(cluster: Cluster) -> None:
    """That the cluster's etcd can be used. Raises ConfigError."""
    import asyncio

    async def attempt() -> None:
        store = make_store(cluster)
        await store.open()
        await store.close()

    try:
        asyncio.run(attempt())
    except Unusable as error:
        raise ConfigError(str(error)) from None


SHARED_KEYS: Sequence[str] = ("ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.key")
"""What all servers of one cluster have in common, below ``pki``."""
_SHARED_FIELDS = ("service_cidr", "pod_cidr", "datastore", *FILES, "datastore_user", "runtime_config", "feature_gates")


def joined(cluster: Cluster, other: Cluster) -> Cluster:
    """A new server of the cluster that ``other`` belongs to: with its ranges and its datastore."""
    if not other.datastore:
        raise ConfigError(
            f"--join {other.data}: that server keeps its objects in a file of its own, so no other can share them. "
            "Start it with --datastore etcd=…"
        )
    return replace(cluster, **{name: getattr(other, name) for name in _SHARED_FIELDS})


def copy_keys(cluster: Cluster, other: Path) -> None:
    """The authorities and the token key of another server's directory, so that each trusts what the other signed."""
    target = cluster.path("pki")
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in SHARED_KEYS:
        try:
            data = (other / "pki" / name).read_bytes()
        except OSError as error:
            raise ConfigError(
                f"--join needs {other / 'pki' / name} ({error.strerror}): give the data directory of a server of the "
                "cluster, or a copy of its cluster.json and pki"
            ) from None
        path = target / name
        path.touch(mode=0o600)
        path.write_bytes(data)
