"""``pelamis why``: asks any cluster for what an analysis looks at, and prints the answer."""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import sys
import time
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from pelamis.api.apiextensions.custom import kind_of
from pelamis.api.apiextensions.customresourcedefinition import KIND as DEFINITION
from pelamis.api.apiextensions.customresourcedefinition import CustomResourceDefinition
from pelamis.api.kind import Kind
from pelamis.api.registry import builtin
from pelamis.base.errors import StatusError
from pelamis.client.connect import connect
from pelamis.client.http import HttpClient
from pelamis.client.kubeconfig import Access, KubeconfigError, paths, read, resolve
from pelamis.main.config import ConfigError, data_dir
from pelamis.main.config import load as load_cluster
from pelamis.scheduler.config import ConfigError as SchedulerConfigError
from pelamis.scheduler.intake import SOURCES
from pelamis.scheduler.profile import Settings
from pelamis.scheduler.profile import load as load_scheduler
from pelamis.why.answer import ANALYSES, answer
from pelamis.why.cause import Cause, render, tree
from pelamis.why.overview import overview
from pelamis.why.world import EVERYWHERE, NotLoaded, World

_AT_ONCE = 8


def run(args: argparse.Namespace) -> int:
    try:
        access = _access(args)
        settings = _settings(args, access)
        cause, notes = asyncio.run(_ask(args, access, settings))
    except KubeconfigError as error:
        raise ConfigError(str(error)) from None
    except StatusError as error:
        raise ConfigError(_refused(error)) from None
    except (OSError, ssl.SSLError) as error:
        hint = "`pelamis status` shows whether it runs; another cluster: --kubeconfig FILE or --context NAME"
        raise ConfigError(f"the cluster cannot be reached: {error or type(error).__name__}. {hint}") from None
    if args.output == "json":
        print(msgspec.json.format(msgspec.json.encode({**tree(cause), **({"notes": notes} if notes else {})})).decode())
        return 0
    sys.stdout.write(render(cause))
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    return 0


def _access(args: argparse.Namespace) -> Access:
    if args.kubeconfig:
        return resolve(read([Path(args.kubeconfig)], must_exist=True), context=args.context)
    if args.name:
        file = data_dir(args.name, args.data_dir) / "admin.kubeconfig"
        if not file.exists():
            raise ConfigError(f'there is no cluster "{args.name}" here: start it with `pelamis up --name {args.name}`')
        return resolve(read([file]))
    return resolve(read(paths(os.environ)), context=args.context)


def _settings(args: argparse.Namespace, access: Access) -> Settings:
    """The scheduler's configuration, where it is told or the cluster is one of this machine's."""
    file = args.scheduler_config
    if file is None:
        name = args.name or ""
        if not name and access.context.startswith("pelamis"):
            name = access.context.removeprefix("pelamis").removeprefix("-") or "default"
        if not name:
            return Settings()
        homes = [data_dir(name, args.data_dir), *(p.parent for p in paths(os.environ, args.kubeconfig or ""))]
        for home in homes:
            try:
                cluster = load_cluster(home)
            except (ConfigError, OSError):
                continue
            if cluster is not None and cluster.context == access.context:
                file = cluster.scheduler_config
                break
    try:
        return load_scheduler(Path(file)) if file else Settings()
    except SchedulerConfigError as error:
        lines = "".join(f"\n  {problem}" for problem in error.problems)
        raise ConfigError(f"the scheduler's configuration {file} cannot be used:{lines}") from None


def _refused(error: StatusError) -> str:
    text = error.message or error.reason
    if error.code == 401:
        return f"{text}: the kubeconfig's credentials are not (or no longer) accepted"
    if error.code == 403:
        return f"{text}: your user may not read it; ask for the role `view`"
    return text


def target(words: Sequence[str]) -> tuple[str, str]:
    """``pod/web-1`` or ``pod web-1``. Raises ConfigError."""
    if len(words) == 1 and "/" in words[0]:
        kind, _, name = words[0].partition("/")
    elif len(words) == 2 and "/" not in words[0]:
        kind, name = words
    else:
        kind = name = ""
    if not kind or not name:
        shown = " ".join(words)
        raise ConfigError(f'"{shown}" names no object: write TYPE/NAME, for example `pelamis why pod/web-1 -n shop`')
    return kind, name


def find_kind(word: str, definitions: Sequence[CustomResourceDefinition] = ()) -> Kind:
    """definitions: of the cluster. Raises ConfigError that names what comes near."""
    registry = builtin()
    for definition in definitions:
        served = [v.name for v in definition.spec.versions if v.served]
        if served and registry.held(definition.spec.group, definition.spec.names.plural) is None:
            registry.add(kind_of(definition, served[0]))
    found = registry.find(word)
    if found is None:
        words = sorted({w for k in registry.all() for w in (k.singular, k.plural, *k.short_names) if "get" in k.verbs})
        near = get_close_matches(word.lower(), words, 2)
        meant = f"did you mean {' or '.join(near)}?" if near else f"it knows {', '.join(k.singular for k in ANALYSES)}"
        raise ConfigError(f'"{word}" is no kind that `pelamis why` knows; {meant}')
    return found


async def _ask(args: argparse.Namespace, access: Access, settings: Settings) -> tuple[Cause, list[str]]:
    word, name = target(args.target) if args.target else ("", "")
    client = await connect(access, now=time.time, user_agent="pelamis-why")
    world = World(time.time(), settings)
    namespace = EVERYWHERE if args.all_namespaces else args.namespace or access.namespace or "default"
    try:
        if not word:
            return await _looked(client, world, lambda: overview(world, namespace)), _notes(world)
        kind = builtin().find(word) or find_kind(word, await _definitions(client))
        namespace = (args.namespace or access.namespace or "default") if kind.namespaced else ""
        obj = await _one(client, kind, namespace, name)
        return await _looked(client, world, lambda: answer(world, kind, obj)), _notes(world)
    finally:
        await client.close()


async def _definitions(client: HttpClient) -> Sequence[CustomResourceDefinition]:
    try:
        return (await client.list(DEFINITION))[0]
    except StatusError:
        return ()  # then only the built-in kinds are known


async def _one(client: HttpClient, kind: Kind, namespace: str, name: str) -> Any:
    try:
        return await client.get(kind, namespace, name)
    except StatusError as error:
        if error.code != 404:
            raise
    found, _ = await client.list(kind, namespace)
    names = [o.metadata.name for o in found]
    where = f" in namespace {namespace}" if namespace else ""
    near = get_close_matches(name, names, 3, 0.5) or [n for n in names if n.startswith(name)][:3]
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    if not near and namespace:
        everywhere, _ = await client.list(kind)
        places = sorted(o.metadata.namespace for o in everywhere if o.metadata.name == name)
        hint = f"; there is one in {', '.join(places)}: -n {places[0]}" if places else ""
    raise ConfigError(f'there is no {kind.singular} "{name}"{where}{hint}')


async def _looked(client: HttpClient, world: World, look: Any) -> Cause:
    """Starts the analysis anew with each thing that it turned out to need."""
    while True:
        try:
            found: Cause = look()
            return found
        except NotLoaded as need:
            wanted = [(need.kind, need.namespace)]
            sources = [kind for kind, _ in SOURCES]
            if need.kind in sources and (need.namespace == EVERYWHERE) and need.kind.namespaced:
                wanted = [(kind, EVERYWHERE) for kind in sources]  # the scheduler's: it needs all of them
            slots = asyncio.Semaphore(_AT_ONCE)
            await asyncio.gather(*(_fetch(client, world, kind, namespace, slots) for kind, namespace in wanted))


async def _fetch(client: HttpClient, world: World, kind: Kind, namespace: str, slots: asyncio.Semaphore) -> None:
    async with slots:
        try:
            found, _ = await client.list(kind, namespace)
        except StatusError as error:
            if error.code not in (403, 404):
                raise
            found = ()
            if error.code == 403 or kind.group != "resource.k8s.io":  # where devices are not served, there are none
                world.unreadable[kind.plural] = error.message or error.reason
        world.load(kind, namespace, found)


def _notes(world: World) -> list[str]:
    return [
        f"{plural} could not be read, the answer may lack something: {why}" for plural, why in world.unreadable.items()
    ]
