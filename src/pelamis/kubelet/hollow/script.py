"""What a container's command would do, as far as it can be known without running it. Pure.

``understand(words)`` reads a command as a shell does and follows it: how long it runs, what it prints and when, and
its exit code. It knows ``sleep``, ``exit``, ``true``, ``false``, ``echo``, ``printf``, programs that end at once, lists
with ``;``, ``&&``, ``||`` and ``|``, and ``for NAME in WORDS``. Whatever it does not know runs until it is stopped, as
servers do. ``of_image`` says the same of a container without a command.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from pelamis.kubelet.hollow.timeline import duration

_SHELLS = frozenset(("sh", "bash", "ash", "dash"))
_BRIEF = frozenset(
    "date hostname env printenv ls cat mkdir touch rm cp mv ln chmod chown pwd whoami id uname test [ set export cd"
    " trap umask wget curl nslookup dig ping seq ps df du free uptime head tail grep sed awk sort wc tr cut tee expr"
    " basename dirname stat find perl nc".split()
)
"""Programs that end at once (``tail -f`` and ``nc -l`` apart)."""
_BLOCKS = frozenset(("while", "until", "if", "case", "{", "(", "function", "select", "wait"))
_SHELL_IMAGES = frozenset(("busybox", "alpine", "debian", "ubuntu", "fedora", "rockylinux", "bash", "hello-world"))
"""Images whose own command is a shell, which ends at once without a terminal, or a greeting."""
_LIMIT = 10_000
"""Steps that are followed; a longer script counts as one that does not end."""


@dataclass(frozen=True, slots=True)
class Script:
    """lasts: seconds until it ends by itself, None = it does not. lines: (seconds after the start, text) printed."""

    lasts: float | None = None
    code: int = 0
    lines: tuple[tuple[float, str], ...] = ()


FOREVER = Script()


class _Unknown(Exception):
    """From here on nobody knows: it runs until it is stopped."""


class _Exit(Exception):
    pass


@dataclass(slots=True)
class _Shell:
    at: float = 0.0
    status: int = 0
    lines: list[tuple[float, str]] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    steps: int = 0

    def run(self, tokens: Sequence[str]) -> None:
        """A list of commands."""
        i, wanted = 0, True
        while i < len(tokens):
            end = i
            if tokens[i] == "for":
                end = self._loop(tokens, i, wanted)
            else:
                while end < len(tokens) and not _separator(tokens[end]):
                    end += 1
                if wanted and end > i:
                    background = end < len(tokens) and tokens[end] == "&"
                    if not background:
                        self.command(tokens[i:end])
            operator = tokens[end] if end < len(tokens) else ";"
            if operator == "&&":
                wanted = self.status == 0
            elif operator == "||":
                wanted = self.status != 0
            else:
                wanted = True
            i = end + 1

    def _loop(self, tokens: Sequence[str], at: int, wanted: bool) -> int:
        """``for NAME in WORDS ; do … done``; returns the index after ``done``."""
        try:
            do = tokens.index("do", at)
        except ValueError:
            raise _Unknown from None
        depth, end = 0, do
        while end < len(tokens):
            depth += (tokens[end] == "do") - (tokens[end] == "done")
            if not depth:
                break
            end += 1
        if end == len(tokens) or len(tokens) < at + 3 or tokens[at + 2] != "in":
            raise _Unknown
        words = [word for word in tokens[at + 3 : do] if not _separator(word)]
        if any("$(" in word or "`" in word for word in words):
            raise _Unknown
        if wanted:
            for word in words:
                self.variables[tokens[at + 1]] = word
                self.run(tokens[do + 1 : end])
        return end + 1

    def expand(self, word: str) -> str:
        if "$" not in word:
            return word
        for name, value in self.variables.items():
            word = word.replace(f"${{{name}}}", value).replace(f"${name}", value)
        return word.replace("$?", str(self.status))

    def command(self, words: Sequence[str]) -> None:
        self.steps += 1
        if self.steps > _LIMIT:
            raise _Unknown
        words = [self.expand(word) for word in words]
        while words and words[0] in ("exec", "time", "nice", "command"):
            words = words[1:]
        while words and "=" in words[0] and words[0].partition("=")[0].isidentifier():
            name, _, value = words[0].partition("=")
            self.variables[name] = value
            words = words[1:]
        if not words:
            self.status = 0
            return
        name, rest = words[0].rpartition("/")[2], words[1:]
        if name in _BLOCKS:
            raise _Unknown
        match name:
            case "sleep":
                self._sleep(rest)
            case "exit" | "return":
                self.status = int(rest[0]) % 256 if rest and rest[0].isdigit() else self.status
                raise _Exit
            case "true" | ":":
                self.status = 0
            case "false":
                self.status = 1
            case "echo" | "printf":
                self._print(name, rest)
            case "busybox" if rest:
                self.command(rest)
            case _ if name in _SHELLS and (text := _shell_text(rest)) is not None:
                inner = _Shell(self.at, 0, self.lines, dict(self.variables), self.steps)
                inner.follow(_tokens(text))
                self.at, self.status, self.steps = inner.at, inner.status, inner.steps
            case _ if name in _BRIEF:
                if (name == "tail" and any(w.startswith(("-f", "-F", "--follow")) for w in rest)) or (
                    name == "nc" and any(w.startswith("-") and "l" in w for w in rest)
                ):
                    raise _Unknown
                self.status = 0
            case _:
                raise _Unknown

    def follow(self, tokens: Sequence[str]) -> None:
        """A whole script, up to its end or its ``exit``."""
        try:
            self.run(tokens)
        except _Exit:
            return

    def _sleep(self, words: Sequence[str]) -> None:
        total = 0.0
        for word in words:
            if word in ("infinity", "inf"):
                raise _Unknown
            length = duration(word)
            if length is None:
                raise _Unknown
            total += length
        self.at += total
        self.status = 0

    def _print(self, name: str, words: Sequence[str]) -> None:
        shown: list[str] = []
        for word in words:
            if word.startswith((">", "1>", "2>")):
                if not word.startswith("2>"):
                    shown = []
                break
            shown.append(word)
        while name == "echo" and shown and shown[0] in ("-n", "-e", "-ne", "-en"):
            shown.pop(0)
        if name == "printf" and shown:
            shown = [
                shown[0].replace("\\n", "\n").removesuffix("\n").replace("%s", "{}").format(*shown[1:], "", "", "")
            ]
        if shown or name == "echo":
            self.lines.extend((self.at, line) for line in " ".join(shown).split("\n"))
        self.status = 0


def _separator(token: str) -> bool:
    return not token.strip(";&|\n")


def _shell_text(words: Sequence[str]) -> str | None:
    """The script after ``-c`` (also ``-ec`` and the like); None where there is none."""
    for i, word in enumerate(words):
        if word.startswith("-") and not word.startswith("--") and "c" in word:
            return words[i + 1] if i + 1 < len(words) else None
        if not word.startswith("-"):
            return None
    return None


def _tokens(text: str) -> list[str]:
    lexer = shlex.shlex(text.strip(), posix=True, punctuation_chars=";&|\n")
    lexer.whitespace = " \t\r"
    lexer.commenters = ""
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:
        raise _Unknown from None


@lru_cache(maxsize=4096)
def _understand(words: tuple[str, ...]) -> Script:
    shell = _Shell()
    try:
        try:
            shell.command(words)
        except _Exit:
            pass
    except (_Unknown, ValueError, IndexError, KeyError, RecursionError):
        return Script(None, 0, tuple(shell.lines))
    return Script(shell.at, shell.status, tuple(shell.lines))


def understand(words: Sequence[str]) -> Script:
    """words: a container's command and arguments. A single word may be a whole script (``sleep 5; exit 1``)."""
    if not words:
        return FOREVER
    name = words[0]
    if len(words) == 1 and any(c in name for c in " ;"):
        return _understand(("sh", "-c", name))
    if any(";" in word for word in words) and name.rpartition("/")[2] not in _SHELLS:
        return _understand(("sh", "-c", " ".join(words)))  # a script that was split at its blanks
    return _understand(tuple(words))


@lru_cache(maxsize=4096)
def of_image(image: str) -> Script:
    """What an image's own command does."""
    name = image.rpartition("/")[2].partition("@")[0].partition(":")[0]
    if name == "hello-world":
        return Script(0.0, 0, ((0.0, "Hello from Docker!"),))
    return Script(0.0, 0) if name in _SHELL_IMAGES else FOREVER


def of_container(container: object) -> Script:
    """What a declared container does."""
    words = (*container.command, *container.args)  # type: ignore[attr-defined]
    if words:
        return understand(words)
    if container.stdin or container.tty:  # type: ignore[attr-defined]
        return FOREVER
    return of_image(container.image)  # type: ignore[attr-defined]


def plan(command: Sequence[str]) -> tuple[float | None, int]:
    """(seconds until it ends by itself or None, exit code) of a command."""
    script = understand(command)
    return script.lasts, script.code
