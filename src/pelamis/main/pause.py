"""The program that holds a pod's namespaces open: a static ELF of under 300 bytes, written here as machine code.

It ignores SIGCHLD (so the kernel reaps orphans of a shared process namespace by itself) and sleeps for ever. A pod
sandbox then costs no package, no libc and a few kilobytes of memory.
"""

from __future__ import annotations

import struct

_SIGCHLD = 17
_SIG_IGN = 1


def _x86_64() -> bytes:
    action = struct.pack("<QQQQ", _SIG_IGN, 0, 0, 0)
    head = b"\xb8" + struct.pack("<I", 13)  # mov eax, rt_sigaction
    head += b"\xbf" + struct.pack("<I", _SIGCHLD)  # mov edi, SIGCHLD
    tail = b"\x31\xd2"  # xor edx, edx
    tail += b"\x41\xba" + struct.pack("<I", 8)  # mov r10d, 8
    tail += b"\x0f\x05"  # syscall
    tail += b"\xb8" + struct.pack("<I", 34) + b"\x0f\x05"  # loop: mov eax, pause; syscall
    tail += b"\xeb\xf7"  # jmp loop
    return head + b"\x48\x8d\x35" + struct.pack("<i", len(tail)) + tail + action  # lea rsi, [rip + action]


def _aarch64() -> bytes:
    def move(register: int, value: int) -> int:
        return 0xD2800000 | value << 5 | register

    svc = 0xD4000001
    code = [move(8, 134), move(0, _SIGCHLD), 0, move(2, 0), move(3, 8), svc]
    loop = len(code)
    code += [move(8, 73), move(0, 0), move(1, 0), move(2, 0), move(3, 0), svc]  # ppoll of nothing, for ever
    code.append(0x14000000 | ((loop - len(code)) & 0x3FFFFFF))
    offset = (len(code) - 2) * 4
    code[2] = 0x10000000 | (offset & 3) << 29 | (offset >> 2) << 5 | 1  # adr x1, action
    return struct.pack(f"<{len(code)}I", *code) + struct.pack("<QQQQ", _SIG_IGN, 0, 0, 0)


_MACHINES = {"x86_64": (62, _x86_64), "aarch64": (183, _aarch64)}
OCI_ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}


def binary(machine: str) -> bytes:
    """The executable for a machine as ``os.uname().machine`` names it. Raises KeyError for others."""
    number, code = _MACHINES[machine]
    base, text = 0x400000, code()
    size = 64 + 56 + len(text)
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, number, 1, base + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000)
    return header + segment + text
