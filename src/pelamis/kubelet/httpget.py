"""One GET over HTTP/1.1 or TLS without verification, as probes and lifecycle hooks need it; at most 10 KB of body."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

BODY_LIMIT = 10 * 1024
HEAD_LIMIT = 64 * 1024
MAX_REDIRECTS = 10


class Answer(NamedTuple):
    """status 3xx: a redirect to another host, which is not followed, or one that names none."""

    status: int
    body: bytes


class GetError(Exception):
    """No answer came; the message is shown to the user."""


def _insecure() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def explain(error: Exception, address: str) -> str:
    """A connection failure in the words that Go's dialler uses."""
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp {address}: connect: connection refused"
    if isinstance(error, TimeoutError):
        return f"dial tcp {address}: i/o timeout"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"dial tcp {address}: connect: {text.lower()}"


def join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _once(url: str, headers: Sequence[tuple[str, str]]) -> tuple[int, dict[str, str], bytes]:
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if tls else 80)
    try:
        reader, writer = await asyncio.open_connection(
            host, port, ssl=_insecure() if tls else None, limit=HEAD_LIMIT, server_hostname=host if tls else None
        )
    except OSError as error:
        raise GetError(f'Get "{url}": {explain(error, join(host, port))}') from error
    try:
        names = {name.lower() for name, _ in headers}
        lines = [f"GET {parts.path or '/'}{'?' + parts.query if parts.query else ''} HTTP/1.1"]
        if "host" not in names:
            lines.append(f"Host: {join(host, port) if parts.port else parts.netloc}")
        lines += [f"{name}: {value}" for name, value in headers]
        lines += ["Connection: close", "", ""]
        writer.write("\r\n".join(lines).encode("latin-1", "replace"))
        head = await reader.readuntil(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1])
        answer = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in rest if line)}
        body = b""
        want = min(int(answer.get("content-length", BODY_LIMIT)), BODY_LIMIT)
        while len(body) < want:
            chunk = await reader.read(want - len(body))
            if not chunk:
                break
            body += chunk
        return status, answer, body
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, IndexError, ValueError) as error:
        raise GetError(f'Get "{url}": EOF') from error
    except OSError as error:
        raise GetError(f'Get "{url}": {error.strerror or error}') from error
    finally:
        writer.transport.abort()


async def get(url: str, headers: Sequence[tuple[str, str]], timeout_s: float) -> Answer:
    """Follows redirects on the same host. Raises GetError."""
    try:
        async with asyncio.timeout(timeout_s):
            target = url
            for _ in range(MAX_REDIRECTS):
                status, answer, body = await _once(target, headers)
                if status not in (301, 302, 303, 307, 308) or "location" not in answer:
                    return Answer(status, body)
                following = urljoin(target, answer["location"])
                if urlsplit(following).hostname != urlsplit(url).hostname:
                    return Answer(status, body)
                target = following
    except TimeoutError as error:
        raise GetError(
            f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        ) from error
    raise GetError(f'Get "{url}": stopped after {MAX_REDIRECTS} redirects')
