"""Client certificates that a handshake asks for and does not insist on.

A server with ``ssl.CERT_OPTIONAL`` ends the handshake when a certificate does not verify: its peer sees a broken
connection where it should see a 401, and cannot fall back to a token. The ssl module has no way to go on, OpenSSL has:
a callback in place of its verification. ``hold_refusals`` sets one that lets OpenSSL verify as ever and, when that
fails, drops the chain and lets the handshake pass; the peer has still proved that it owns the certificate's key. So a
connection's verified chain is the verdict, and ``shown`` reads it.

The callback goes on the ``SSL_CTX`` inside the ``SSLContext``: the first member of CPython's object, and it is checked
that what is found there has the context's own settings. Where it cannot be done (another interpreter, an ssl module
that hides its OpenSSL), the context stays as it was: strict. Sessions are not resumed, because OpenSSL keeps no chain
with them; then a certificate's dates count at each connection, too.
"""

from __future__ import annotations

import _ssl
import ctypes
import functools
import platform
import ssl
from typing import Any

_SESSION_CACHE_MODE, _OFF = 44, 0
"""SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF."""
_DER = 2
"""The ssl module's own ENCODING_DER."""


@functools.cache
def _library() -> tuple[Any, Any] | None:
    """OpenSSL as the ssl module has it, and the callback. None: out of reach."""
    if platform.python_implementation() != "CPython":
        return None
    try:
        library = ctypes.CDLL(_ssl.__file__)
        library.SSL_CTX_get_verify_mode.argtypes = [ctypes.c_void_p]
        library.SSL_CTX_get_options.argtypes = [ctypes.c_void_p]
        library.SSL_CTX_get_options.restype = ctypes.c_uint64
        library.SSL_CTX_ctrl.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_void_p]
        library.SSL_CTX_set_cert_verify_callback.argtypes = [ctypes.c_void_p] * 3
        library.SSL_CTX_set_cert_verify_callback.restype = None
        verify, drop = library.X509_verify_cert, library.X509_STORE_CTX_set0_verified_chain
    except (AttributeError, OSError):
        return None
    verify.argtypes = [ctypes.c_void_p]
    drop.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    drop.restype = None

    def judge(store: int, _: int) -> int:
        if verify(store) != 1:
            drop(store, None)
        return 1

    return library, ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(judge)


def hold_refusals(context: ssl.SSLContext) -> bool:
    """``context`` with CERT_OPTIONAL lets peers with any certificate in. False: it could not be done."""
    found = _library()
    if found is None or context.verify_mode is not ssl.CERT_OPTIONAL:
        return False
    library, judge = found
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__)
    same = library.SSL_CTX_get_verify_mode(pointer) == int(ssl.CERT_OPTIONAL)
    if not same or library.SSL_CTX_get_options(pointer) & 0xFFFFFFFF != int(context.options) & 0xFFFFFFFF:
        return False
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    library.SSL_CTX_ctrl(pointer, _SESSION_CACHE_MODE, _OFF, None)
    library.SSL_CTX_set_cert_verify_callback(pointer, ctypes.cast(judge, ctypes.c_void_p), None)
    return True


def shown(peer: ssl.SSLObject | None) -> tuple[bytes | None, tuple[bytes, ...]]:
    """The peer's certificate, and the chain from it to an authority, all DER. An empty chain: it is not verified."""
    cert = peer.getpeercert(True) if peer is not None else None
    if cert is None:
        return None, ()
    chain = peer._sslobj.get_verified_chain()  # type: ignore[union-attr]  # public from Python 3.13
    return cert, tuple(one.public_bytes(_DER) for one in chain or ())
