"""An HTTP/1.1 server: it listens (TCP, TLS or a Unix socket), and each peer gets a ``Connection``."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from pelamis.net.http1 import BODY_LIMIT, Handler, Request
from pelamis.net.httpconnection import HEAD_S, Connection


class Server:
    """Listens and answers with ``handler``. ``body_limit``: bytes, or a function of the request's head."""

    def __init__(self, handler: Handler, *, body_limit: int | Callable[[Request], int] = BODY_LIMIT) -> None:
        self.handler = handler
        self.body_limit = body_limit
        self.draining = False
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.loop: asyncio.AbstractEventLoop = None  # type: ignore[assignment]
        self._servers: list[asyncio.AbstractServer] = []

    def _connection(self) -> Connection:
        return Connection(self)

    async def listen(self, host: str | None, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Returns the port (useful with 0). Raises OSError when the address is taken."""
        self.loop = asyncio.get_running_loop()
        server = await self.loop.create_server(
            self._connection,
            host,
            port,
            ssl=tls,
            backlog=1024,
            reuse_address=True,
            ssl_handshake_timeout=HEAD_S if tls else None,
        )
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def listen_on(self, sock: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Answers on a socket that somebody else has bound; it stays theirs to close."""
        self.loop = asyncio.get_running_loop()
        handshake_s = HEAD_S if tls else None
        server = await self.loop.create_server(
            self._connection, sock=sock.dup(), ssl=tls, backlog=4096, ssl_handshake_timeout=handshake_s
        )
        self._servers.append(server)

    async def listen_unix(self, path: str, tls: ssl.SSLContext | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self._servers.append(await self.loop.create_unix_server(self._connection, path, ssl=tls, backlog=1024))

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """A task that the server owns: it is cancelled by ``close``."""
        task = self.loop.create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def close(self, grace_s: float = 5.0) -> None:
        """Stop listening, let running requests end for ``grace_s``, then drop what is left."""
        self.draining = True
        for server in self._servers:
            server.close()
        for connection in list(self.connections):
            connection.shut_down()
        if self.tasks:
            await asyncio.wait(list(self.tasks), timeout=grace_s)
        for task in list(self.tasks):
            task.cancel()
        if self.tasks:
            await asyncio.wait(list(self.tasks), timeout=1.0)
        for connection in list(self.connections):
            if connection.transport is not None:
                connection.transport.abort()
        self._servers.clear()
