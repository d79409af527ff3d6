"""The signals that may end a container, in the order of their numbers in the runtime's interface (from 1)."""

from __future__ import annotations

_PLAIN = (
    "ABRT,ALRM,BUS,CHLD,CLD,CONT,FPE,HUP,ILL,INT,IO,IOT,KILL,PIPE,POLL,PROF,PWR,QUIT,SEGV,STKFLT,STOP,SYS,TERM,TRAP,"
    "TSTP,TTIN,TTOU,URG,USR1,USR2,VTALRM,WINCH,XCPU,XFSZ"
)
STOP_SIGNALS = (
    *(f"SIG{name}" for name in _PLAIN.split(",")),
    "SIGRTMIN",
    *(f"SIGRTMIN+{n}" for n in range(1, 16)),
    *(f"SIGRTMAX-{n}" for n in range(14, 0, -1)),
    "SIGRTMAX",
)
