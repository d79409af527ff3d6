"""gRPC on a plugin's unix socket: calls whose errors read as Go's, and word of a connection that is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from grpclib.client import Channel, Handler
from grpclib.const import Cardinality
from grpclib.exceptions import GRPCError, StreamTerminatedError
from grpclib.protocol import H2Protocol

from pelamis.kubelet.cri.client import WireCodec, error_of
from pelamis.kubelet.cri.wire import Message

R = TypeVar("R", bound=Message)


class CallError(Exception):
    """A call that failed; the text is that of Go's client. code: Unavailable, Unimplemented, …"""

    def __init__(self, message: str, code: str = "Unknown") -> None:
        super().__init__(message)
        self.code = code

    @classmethod
    def of(cls, error: Exception) -> CallError:
        found = error_of(error)
        return cls(f"rpc error: code = {found.code} desc = {found.message}", found.code)


class _Handler(Handler):
    def __init__(self, lost: Callable[[], None]) -> None:
        self._lost = lost

    def close(self) -> None:
        super().close()
        self._lost()


class Line(Channel):
    """A connection to a socket; ``lost`` is called whenever one that was made has ended."""

    def __init__(self, socket: str, lost: Callable[[], None] = lambda: None) -> None:
        super().__init__(path=socket, codec=WireCodec())
        self._authority = "localhost"  # grpclib would send "None:None", which strict peers refuse
        self._lost = lost

    def _protocol_factory(self) -> H2Protocol:
        return H2Protocol(_Handler(self._lost), self._config, self._h2_config)

    async def connect(self) -> None:
        """Raises OSError."""
        await self.__connect__()

    async def call(self, path: str, request: Message, reply: type[R], timeout_s: float) -> R:
        """Raises CallError."""
        try:
            async with self.request(path, Cardinality.UNARY_UNARY, type(request), reply, timeout=timeout_s) as stream:
                await stream.send_message(request, end=True)
                answer: R | None = await stream.recv_message()
        except (GRPCError, StreamTerminatedError, OSError, TimeoutError) as error:
            raise CallError.of(error) from error
        if answer is None:
            raise CallError("rpc error: code = Internal desc = empty answer", "Internal")
        return answer

    async def stream(self, path: str, request: Message, reply: type[R]) -> AsyncIterator[R]:
        """Ends when the other side ends it. Raises CallError."""
        try:
            async with self.request(path, Cardinality.UNARY_STREAM, type(request), reply) as stream:
                await stream.send_message(request, end=True)
                async for message in stream:
                    yield message
        except (GRPCError, StreamTerminatedError, OSError) as error:
            raise CallError.of(error) from error
