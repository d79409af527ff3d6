"""kubeconfig files: reading them as kubectl does, and changing one without losing what is in it.

Reading follows kubectl: the files of ``KUBECONFIG`` in order, or ``~/.kube/config``; of two entries with one name the
first wins. Relative paths are relative to the file that names them. Changing is atomic (a new file beside the old one
is synced, then renamed over it), keeps unknown fields, order and the file's mode, holds the lock file that kubectl
uses, and refuses to touch a file that it cannot read. Comments are lost, as with kubectl.
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pelamis.api.field import Tree

_LISTS = ("clusters", "users", "contexts")
_PARTS = {"clusters": "cluster", "users": "user", "contexts": "context"}
_PATHS = {"cluster": ("certificate-authority",), "user": ("client-certificate", "client-key", "tokenFile")}


class KubeconfigError(ValueError):
    """The message is for the user."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach one cluster as one user. Certificates and keys are PEM. ``exec``: a credential plugin as written."""

    server: str
    context: str = ""
    namespace: str = ""
    ca: bytes = b""
    insecure: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""
    cert: bytes = b""
    key: bytes = b""
    token: str = ""
    token_file: str = ""
    username: str = ""
    password: str = ""
    impersonate: str = ""
    impersonate_uid: str = ""
    impersonate_groups: tuple[str, ...] = ()
    impersonate_extra: Mapping[str, Sequence[str]] = field(default_factory=dict)
    exec: Tree | None = None

    def ssl_context(self, cert: bytes = b"", key: bytes = b"") -> ssl.SSLContext | None:
        """None for plain HTTP. cert, key: from a credential plugin, in place of the file's."""
        if not self.server.startswith("https"):
            return None
        context = ssl.create_default_context(cadata=self.ca.decode() if self.ca else None)
        context.set_alpn_protocols(["http/1.1"])
        if cert or self.cert:
            # The ssl module reads from files only. (net.tls can do it too; it costs the import of cryptography.)
            with tempfile.NamedTemporaryFile() as file:
                file.write((cert or self.cert) + b"\n" + (key or self.key))
                file.flush()
                context.load_cert_chain(file.name)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def bearer(self) -> str:
        """The token now: a token file is read each time, because it is rotated."""
        if self.token_file:
            try:
                return Path(self.token_file).read_text().strip()
            except OSError as error:
                raise KubeconfigError(f"unable to read tokenFile {self.token_file}: {error.strerror}") from error
        return self.token

    def headers(self) -> list[tuple[str, str]]:
        """Authorization and impersonation."""
        out: list[tuple[str, str]] = []
        token = self.bearer()
        if token:
            out.append(("Authorization", f"Bearer {token}"))
        elif self.username:
            pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
            out.append(("Authorization", f"Basic {pair}"))
        if self.impersonate:
            out.append(("Impersonate-User", self.impersonate))
        if self.impersonate_uid:
            out.append(("Impersonate-Uid", self.impersonate_uid))
        out.extend(("Impersonate-Group", group) for group in self.impersonate_groups)
        for name, values in self.impersonate_extra.items():
            out.extend((f"Impersonate-Extra-{name}", value) for value in values)
        return out


def paths(environ: Mapping[str, str], explicit: str = "") -> list[Path]:
    """The files that kubectl would read, whether they exist or not."""
    if explicit:
        return [Path(explicit)]
    named = [Path(p) for p in environ.get("KUBECONFIG", "").split(os.pathsep) if p]
    return list(dict.fromkeys(named)) or [Path(environ.get("HOME", "~")).expanduser() / ".kube" / "config"]


def read(files: Sequence[Path], *, must_exist: bool = False) -> Tree:
    """The merged contents of the files; missing ones are skipped, unless ``must_exist``."""
    merged = _empty()
    merged["current-context"] = ""
    for path in files:
        tree = _load(path)
        if tree is None:
            if must_exist:
                raise KubeconfigError(f"stat {path}: no such file or directory")
            continue
        _resolve_paths(tree, path.parent)
        merged["current-context"] = merged["current-context"] or tree.get("current-context") or ""
        for kind in _LISTS:
            known = {entry.get("name") for entry in merged[kind]}
            merged[kind].extend(entry for entry in tree.get(kind) or () if entry.get("name") not in known)
    return merged


def resolve(tree: Tree, *, context: str = "", cluster: str = "", user: str = "") -> Access:
    """The access of a context (the current one by default); cluster and user replace what the context names."""
    name = context or tree.get("current-context") or ""
    chosen: Tree = {}
    if name:
        found = _named(tree, "contexts", name)
        if found is None:
            raise KubeconfigError(f'context "{name}" does not exist')
        chosen = found
    cluster_name, user_name = cluster or chosen.get("cluster") or "", user or chosen.get("user") or ""
    where = _named(tree, "clusters", cluster_name)
    if where is None:
        if cluster_name:
            raise KubeconfigError(f'cluster "{cluster_name}" does not exist')
        raise KubeconfigError("no cluster is configured: set KUBECONFIG, or start one with: pelamis up")
    who = _named(tree, "users", user_name)
    if who is None:
        if user_name:
            raise KubeconfigError(f'auth info "{user_name}" does not exist')
        who = {}
    return Access(
        server=str(where.get("server") or "").rstrip("/"),
        context=name,
        namespace=chosen.get("namespace") or "",
        ca=_pem(where, "certificate-authority", cluster_name),
        insecure=bool(where.get("insecure-skip-tls-verify")),
        tls_server_name=where.get("tls-server-name") or "",
        proxy_url=where.get("proxy-url") or "",
        cert=_pem(who, "client-certificate", user_name),
        key=_pem(who, "client-key", user_name),
        token=who.get("token") or "",
        token_file="" if who.get("token") else who.get("tokenFile") or "",
        username=who.get("username") or "",
        password=who.get("password") or "",
        impersonate=who.get("as") or "",
        impersonate_uid=who.get("as-uid") or "",
        impersonate_groups=tuple(who.get("as-groups") or ()),
        impersonate_extra=who.get("as-user-extra") or {},
        exec=who.get("exec"),
    )


def write(
    path: Path,
    name: str,
    server: str,
    *,
    ca: bytes,
    cert: bytes = b"",
    key: bytes = b"",
    token: str = "",
    namespace: str = "",
) -> None:
    """A file of its own with one cluster, user and context of the same name."""
    user: Tree = {}
    if cert:
        user["client-certificate-data"] = base64.b64encode(cert).decode()
        user["client-key-data"] = base64.b64encode(key).decode()
    if token:
        user["token"] = token
    where: Tree = {"certificate-authority-data": base64.b64encode(ca).decode()} if ca else {}
    tree = _empty()
    tree["clusters"] = [{"name": name, "cluster": {**where, "server": server}}]
    tree["users"] = [{"name": name, "user": user}]
    context = {"cluster": name, "user": name, **({"namespace": namespace} if namespace else {})}
    tree["contexts"] = [{"name": name, "context": context}]
    tree["current-context"] = name
    _store(Path(path), tree)


def merge_file(source: Path, target: Path, *, current: bool = True) -> None:
    """Put the clusters, users and contexts of ``source`` into ``target``, in place of those of the same names."""
    new = _load(Path(source))
    if new is None:
        raise KubeconfigError(f"{source} does not exist")
    _resolve_paths(new, Path(source).parent)

    def change(tree: Tree) -> None:
        for kind in _LISTS:
            entries = list(tree.get(kind) or ())
            at = {entry.get("name"): i for i, entry in enumerate(entries)}
            for entry in new.get(kind) or ():
                if entry.get("name") in at:
                    entries[at[entry["name"]]] = entry
                else:
                    entries.append(entry)
            tree[kind] = entries
        if current and new.get("current-context"):
            tree["current-context"] = new["current-context"]

    edit(Path(target), change)


def remove_context(path: Path, context: str) -> None:
    """Remove a context, and its cluster and user unless another context needs them. Absent: nothing happens."""
    path = Path(path)
    tree = _load(path)
    if tree is None or _named(tree, "contexts", context) is None:
        return

    def change(tree: Tree) -> None:
        gone = _named(tree, "contexts", context)
        if gone is None:
            return
        tree["contexts"] = [e for e in tree["contexts"] if e.get("name") != context]
        for kind, part in (("clusters", "cluster"), ("users", "user")):
            name = gone.get(part)
            if not any((e.get("context") or {}).get(part) == name for e in tree["contexts"]):
                tree[kind] = [e for e in tree.get(kind) or () if e.get("name") != name]
        if tree.get("current-context") == context:
            tree["current-context"] = ""

    edit(path, change)


def edit(path: Path, change: Callable[[Tree], None]) -> None:
    """Change a file in place, atomically; it is made if it does not exist."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path = path.resolve()  # a link stays a link
    with _locked(path):
        tree = _load(path)
        if tree is None:
            tree = _empty()
        change(tree)
        _store(path, tree)


def _empty() -> Tree:
    return {"apiVersion": "v1", "kind": "Config", "clusters": [], "contexts": [], "users": [], "preferences": {}}


def _load(path: Path) -> Tree | None:
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise KubeconfigError(f"cannot read {path}: {error.strerror}") from error
    try:
        tree = yaml.load(text, loader)
    except yaml.YAMLError as error:
        raise KubeconfigError(f"error loading config file {path}: {error}") from error
    if tree is None:
        return _empty()
    if not isinstance(tree, dict) or any(not isinstance(tree.get(kind) or [], list) for kind in _LISTS):
        raise KubeconfigError(f"error loading config file {path}: it is not a kubeconfig")
    for kind in _LISTS:
        for entry in tree.get(kind) or ():
            if not isinstance(entry, dict) or not isinstance(entry.get(_PARTS[kind]) or {}, dict):
                raise KubeconfigError(f"error loading config file {path}: an entry of {kind} is not an object")
    return tree


def _store(path: Path, tree: Tree) -> None:
    dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text = yaml.dump(tree, Dumper=dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=10_000)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        old = path.stat()
    except FileNotFoundError:
        old = None
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, old.st_mode & 0o777 if old is not None else 0o600)
        if old is not None and os.geteuid() == 0:
            os.chown(beside, old.st_uid, old.st_gid)
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = path.with_name(path.name + ".lock")
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise KubeconfigError(
            f"{path} is being changed by another program (delete {lock} if none is running)"
        ) from None
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _named(tree: Tree, kind: str, name: str) -> Tree | None:
    for entry in tree.get(kind) or ():
        if entry.get("name") == name:
            return entry.get(_PARTS[kind]) or {}
    return None


def _resolve_paths(tree: Tree, base: Path) -> None:
    for kind in ("clusters", "users"):
        part = _PARTS[kind]
        for entry in tree.get(kind) or ():
            inner = entry.get(part) or {}
            for member in _PATHS[part]:
                if inner.get(member) and not os.path.isabs(inner[member]):
                    inner[member] = str(base.absolute() / inner[member])


def _pem(part: Tree, member: str, owner: str) -> bytes:
    """Inline data wins over a file."""
    data = part.get(f"{member}-data")
    if data:
        try:
            return base64.b64decode(data)
        except (binascii.Error, TypeError, ValueError) as error:
            raise KubeconfigError(f'{member}-data of "{owner}" is not base64') from error
    path = part.get(member)
    if not path:
        return b""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise KubeconfigError(f'unable to read {member} {path} for "{owner}": {error.strerror}') from error
