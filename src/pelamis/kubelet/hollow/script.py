"""What a container's command would do, as far as it can be known without running it. Pure.

``understand(words)`` reads a command as a shell does and follows it: how long it runs, what it prints and when, and
its exit code. It knows ``sleep``, ``exit``, ``true``, ``false``, ``echo``, ``printf``, ``test``, programs that end at
once, lists with ``;``, ``&&``, ``||`` and ``|``, ``for NAME in WORDS``, ``if``, and the variables that are known.
Whatever it does not know runs until it is stopped, as servers do. ``of_image`` says the same of a container without a
command.
"""

from __future__ import annotations

import itertools
import operator
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pelamis.kubelet import env
from pelamis.kubelet.hollow.timeline import duration

_SHELLS = frozenset(("sh", "bash", "ash", "dash"))
_BRIEF = frozenset(
    "date hostname env printenv ls cat mkdir touch rm cp mv ln chmod chown pwd whoami id uname set export cd"
    " trap umask wget curl nslookup dig ping seq ps df du free uptime head tail grep sed awk sort wc tr cut tee expr"
    " basename dirname stat find perl nc".split()
)
"""Programs that end at once (``tail -f`` and ``nc -l`` apart)."""
_BLOCKS = frozenset(("while", "until", "case", "{", "(", "function", "select", "wait"))
_SHELL_IMAGES = frozenset(("busybox", "alpine", "debian", "ubuntu", "fedora", "rockylinux", "bash", "hello-world"))
"""Images whose own command is a shell, which ends at once without a terminal, or a greeting."""
_COMPARED = {"-eq": operator.eq, "-ne": operator.ne, "-lt": operator.lt, "-le": operator.le, "-gt": operator.gt}
_COMPARED["-ge"] = operator.ge
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|([A-Za-z_]\w*)|\?)", re.ASCII)
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
            elif tokens[i] == "if":
                end = self._if(tokens, i, wanted)
            else:
                while end < len(tokens) and not _separator(tokens[end]):
                    end += 1
                if wanted and end > i:
                    background = end < len(tokens) and tokens[end] == "&"
                    if not background:
                        self.command(tokens[i:end])
            joined = tokens[end] if end < len(tokens) else ";"
            if joined == "&&":
                wanted = self.status == 0
            elif joined == "||":
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

    def _if(self, tokens: Sequence[str], at: int, wanted: bool) -> int:
        """``if … ; then … ; elif … ; then … ; else … ; fi``; returns the index after ``fi``."""
        depth, marks = 0, [at]
        for end in range(at, len(tokens)):
            if end > at and not _separator(tokens[end - 1]) and tokens[end - 1] not in ("then", "else", "do", "if"):
                continue  # an argument that looks like a word of the shell
            if tokens[end] == "if":
                depth += 1
            elif tokens[end] == "fi":
                depth -= 1
                if not depth:
                    break
            elif depth == 1 and tokens[end] in ("then", "elif", "else"):
                marks.append(end)
        else:
            raise _Unknown
        marks.append(end)
        if wanted:
            self._branch([tokens[a:b] for a, b in itertools.pairwise(marks)])
        return end + 1

    def _branch(self, parts: Sequence[Sequence[str]]) -> None:
        """Each part begins with its word of the shell."""
        true = False
        for word, *rest in parts:
            if word == "then":
                true = self.status == 0
                if not true:
                    self.status = 0
                    continue
            self.run(rest)
            if word in ("then", "else"):
                return

    def _test(self, words: Sequence[str]) -> None:
        """``test`` and ``[``: of what can be told without looking at files."""
        match [word for word in words if word != "]"]:
            case known if any("$" in word for word in known):
                true = True  # nobody knows
            case ["-n", text] | [text]:
                true = text != ""
            case ["-z", text]:
                true = text == ""
            case [a, "=" | "==", b]:
                true = a == b
            case [a, "!=", b]:
                true = a != b
            case [a, how, b] if how in _COMPARED and _number(a) and _number(b):
                true = _COMPARED[how](int(a), int(b))
            case _:
                true = True
        self.status = 0 if true else 1

    def expand(self, word: str) -> str:
        """Variables that are not known stay as they are."""
        if "$" not in word:
            return word

        def value(found: re.Match[str]) -> str:
            if found[0] == "$?":
                return str(self.status)
            return self.variables.get(found[1] or found[2], found[0])

        return _VARIABLE.sub(value, word)

    def command(self, words: Sequence[str]) -> None:
        """As a shell reads it."""
        self.execute([self.expand(word) for word in words])

    def execute(self, words: Sequence[str]) -> None:
        self.steps += 1
        if self.steps > _LIMIT:
            raise _Unknown
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
            case "test" | "[":
                self._test(rest)
            case "echo" | "printf":
                self._print(name, rest)
            case "busybox" if rest:
                self.execute(rest)
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


def _number(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _separator(token: str) -> bool:
    return token != "" and not token.strip(";&|\n")


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
def _understand(words: tuple[str, ...], variables: tuple[tuple[str, str], ...] = ()) -> Script:
    shell = _Shell(variables=dict(variables))
    try:
        try:
            shell.execute(words)
        except _Exit:
            pass
    except (_Unknown, ValueError, IndexError, KeyError, RecursionError):
        return Script(None, 0, tuple(shell.lines))
    return Script(shell.at, shell.status, tuple(shell.lines))


def understand(words: Sequence[str], variables: Mapping[str, str] = {}) -> Script:
    """words: a container's command and arguments. A single word may be a whole script (``sleep 5; exit 1``).

    variables: its environment, as far as it is known.
    """
    if not words:
        return FOREVER
    name = words[0]
    told = tuple(sorted((n, v) for n, v in variables.items() if any(n in word for word in words)))
    if len(words) == 1 and any(c in name for c in " ;"):
        return _understand(("sh", "-c", name), told)
    if any(";" in word for word in words) and name.rpartition("/")[2] not in _SHELLS:
        return _understand(("sh", "-c", " ".join(words)), told)  # a script that was split at its blanks
    return _understand(tuple(words), told)


@lru_cache(maxsize=4096)
def of_image(image: str) -> Script:
    """What an image's own command does."""
    name = image.rpartition("/")[2].partition("@")[0].partition(":")[0]
    if name == "hello-world":
        return Script(0.0, 0, ((0.0, "Hello from Docker!"),))
    return Script(0.0, 0) if name in _SHELL_IMAGES else FOREVER


def of_container(container: Any, variables: Callable[[], Mapping[str, str]]) -> Script:
    """What a declared container does. variables: makes its environment, which few commands look at."""
    words = (*container.command, *container.args)
    if words:
        if not any("$" in word for word in words):
            return understand(words)
        known = variables()
        return understand([env.expand(word, known) for word in words], known)
    if container.stdin or container.tty:
        return FOREVER
    return of_image(container.image)


def plan(command: Sequence[str]) -> tuple[float | None, int]:
    """(seconds until it ends by itself or None, exit code) of a command."""
    script = understand(command)
    return script.lasts, script.code
