"""SPDY/3.1 as a client: the dictionary, frames of a conversation, and what happens when the peer goes away."""

import asyncio
import struct
import zlib

import pytest

from pelamis.net.spdy import DICTIONARY, FIN, PING, RST_STREAM, SYN_REPLY, Session, SpdyError


def test_the_dictionary_is_the_specification_s() -> None:
    assert len(DICTIONARY) == 1423
    assert zlib.adler32(DICTIONARY) == 0xE3C6A7C2


class Peer:
    """The far end: keeps what was written, and feeds frames."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False
        self.reader = asyncio.StreamReader()
        self.session = Session(self.reader, self)  # type: ignore[arg-type]
        self.deflate = zlib.compressobj(9, zlib.DEFLATED, 15, 8, zlib.Z_DEFAULT_STRATEGY, DICTIONARY)

    def is_closing(self) -> bool:
        return self.closed

    def write(self, data: bytes) -> None:
        self.written += data

    async def drain(self) -> None:
        return None

    def close(self) -> None:
        self.closed = True

    def control(self, kind: int, flags: int, body: bytes) -> None:
        self.reader.feed_data(struct.pack(">HHI", 0x8003, kind, flags << 24 | len(body)) + body)

    def data(self, number: int, flags: int, body: bytes) -> None:
        self.reader.feed_data(struct.pack(">II", number, flags << 24 | len(body)) + body)

    def reply(self, number: int) -> None:
        block = self.deflate.compress(struct.pack(">I", 0)) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        self.control(SYN_REPLY, 0, struct.pack(">I", number) + block)

    def frames(self) -> list[tuple[int, int, bytes]]:
        """(control type or stream number, flags, body) of all that was written."""
        out, at = [], 0
        while at < len(self.written):
            first, second = struct.unpack_from(">II", self.written, at)
            size = second & 0xFFFFFF
            out.append((first & 0xFFFF if first >> 31 else first, second >> 24, self.written[at + 8 : at + 8 + size]))
            at += 8 + size
        return out


def run(scene: object) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(5):
            await scene()  # type: ignore[operator]

    asyncio.run(bounded())


def test_a_conversation() -> None:
    async def scene() -> None:
        peer = Peer()
        running = asyncio.ensure_future(peer.session.run())
        peer.reply(1)
        stream = await peer.session.open({"streamType": "stdout"})
        kind, flags, body = peer.frames()[0]
        assert (kind, flags) == (1, 0)
        block = zlib.decompressobj(15, DICTIONARY).decompress(body[10:])
        assert block == struct.pack(">I", 1) + b"\0\0\0\x0astreamtype\0\0\0\x06stdout"
        peer.data(1, 0, b"one")
        peer.data(1, FIN, b"two")
        assert await stream.read() == b"onetwo" and await stream.read() == b""
        await stream.write(b"x" * 70000)
        await stream.close()
        sent = [(flags, len(body)) for number, flags, body in peer.frames()[1:] if number == 1]
        assert sent == [(0, 65536), (0, 4464), (FIN, 0)]
        peer.control(PING, 0, b"\0\0\0\x02")
        peer.reader.feed_eof()
        await running
        assert peer.frames()[-1] == (PING, 0, b"\0\0\0\x02") and peer.closed

    run(scene)


@pytest.mark.parametrize("end", ["reset", "lost"])
def test_a_refused_stream_raises(end: str) -> None:
    async def scene() -> None:
        peer = Peer()
        running = asyncio.ensure_future(peer.session.run())
        if end == "reset":
            peer.control(RST_STREAM, 0, struct.pack(">II", 1, 3))
        opening = asyncio.ensure_future(peer.session.open({"streamType": "stdin"}))
        if end == "lost":
            await asyncio.sleep(0)
            peer.reader.feed_eof()
        else:
            await asyncio.sleep(0)
            peer.control(RST_STREAM, 0, struct.pack(">II", 1, 3))
        with pytest.raises(SpdyError):
            await opening
        peer.reader.feed_eof()
        await running

    run(scene)
