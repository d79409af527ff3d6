"""The API server as one object: its parts, made explicitly, and their life."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pelamis.api.core.componentstatus import KIND as COMPONENT_STATUS
from pelamis.api.kind import Kind
from pelamis.api.openapi import OpenAPI
from pelamis.api.registry import Registry, builtin
from pelamis.apiserver.admission import chosen
from pelamis.apiserver.admission.chain import Chain
from pelamis.apiserver.admission.mutatingpolicy import MutatingPolicies
from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.admission.resourcequota import Quotas
from pelamis.apiserver.admission.validatingpolicy import ValidatingPolicies
from pelamis.apiserver.admission.webhook import WebhookAdmission
from pelamis.apiserver.admission.webhookclient import Webhooks
from pelamis.apiserver.aggregation import Aggregation
from pelamis.apiserver.allocator import ServiceAllocator
from pelamis.apiserver.audit import Audit, Sink
from pelamis.apiserver.auditpolicy import Policy
from pelamis.apiserver.authn.chain import Authenticator
from pelamis.apiserver.authn.frontproxy import FrontProxy
from pelamis.apiserver.authn.token import ISSUER, LAST_USED, Issuer, Validator, jwk, load_private, load_public
from pelamis.apiserver.authz.attributes import Union
from pelamis.apiserver.authz.escalation import Escalation
from pelamis.apiserver.authz.node import NodeAuthorizer
from pelamis.apiserver.authz.rbac import GROUP as RBAC
from pelamis.apiserver.authz.rbac import Rbac, compile_rules
from pelamis.apiserver.bootstrap import Bootstrap, policy
from pelamis.apiserver.call import Answered
from pelamis.apiserver.claims import Claims
from pelamis.apiserver.componentstatus import ComponentStatuses
from pelamis.apiserver.crd import Definitions
from pelamis.apiserver.discovery import Discovery
from pelamis.apiserver.documents import Documents
from pelamis.apiserver.flow.objects import LEVELS, SCHEMAS
from pelamis.apiserver.flow.run import FlowControl
from pelamis.apiserver.flow.upkeep import Upkeep
from pelamis.apiserver.health import START_STAGES, Health
from pelamis.apiserver.http import Api
from pelamis.apiserver.lists import WAIT_S, Lister
from pelamis.apiserver.load import Follower, load
from pelamis.apiserver.local import LocalClient
from pelamis.apiserver.metrics import Metrics
from pelamis.apiserver.metricsapi.serve import MetricsApi
from pelamis.apiserver.metricsapi.summary import Summaries
from pelamis.apiserver.objects import Objects
from pelamis.apiserver.pipeline import AuditIds, Gate
from pelamis.apiserver.request import RequestInfo
from pelamis.apiserver.rest import Rest
from pelamis.apiserver.reviews import REVIEWS
from pelamis.apiserver.streams.kubelet import Kubelets
from pelamis.apiserver.subresources import SPECIALS, transforms
from pelamis.apiserver.user import LOOPBACK_USER, User, component_user
from pelamis.apiserver.watch import Watches
from pelamis.apiserver.write import Patch, Write
from pelamis.base.clock import rfc3339
from pelamis.base.errors import StatusError
from pelamis.cache.cache import Cache
from pelamis.net.http1 import Request
from pelamis.net.httpserver import Server
from pelamis.net.tls import Pair, client_context
from pelamis.store.types import Closed, Store, StoreFull, Unavailable

log = logging.getLogger("pelamis.apiserver")
Aggregator = Callable[[Request, RequestInfo, User], Answered]
_COMPACT_S = 300.0
_STORE_PATIENCE_S = 2.0


@dataclass(slots=True)
class Config:
    """What an API server is made of. Certificates and keys are PEM.

    tls: the serving context (None = plain HTTP, for tests), which verifies client certificates by ``client_ca`` and, if
    set, ``front_proxy_ca``.
    service_account_key signs tokens; more_service_account_keys are accepted too. shared: other servers write to the
    same store. advertise_address: what the Service ``kubernetes`` leads to; a loopback address cannot be an endpoint,
    so with one the Service has none. kubelet_client: certificate and key that the server shows to kubelets; kubelet_ca:
    what signs theirs.
    """

    store: Store
    service_account_key: bytes
    host: str = "127.0.0.1"
    port: int = 6443
    tls: ssl.SSLContext | None = None
    client_ca: bytes = b""
    front_proxy_ca: bytes = b""
    front_proxy_client: Pair | None = None
    """What the server shows to aggregated API servers."""
    more_service_account_keys: Sequence[bytes] = ()
    issuer: str = ISSUER
    api_audiences: Sequence[str] = (ISSUER,)
    max_token_s: int = 0
    service_cidrs: Sequence[str] = ("10.96.0.0/12",)
    node_ports: tuple[int, int] = (30000, 32767)
    advertise_address: str = ""
    anonymous: bool = True
    shared: bool = False
    quota_in_status: bool = False
    """Writes add what they take to the status of quotas, for a quota controller that is not of this process. ``shared``
    has it too."""
    max_reading: int = 400
    max_writing: int = 200
    watch_timeout_s: float = 1800.0
    kubelet_client: Pair | None = None
    kubelet_ca: bytes = b""
    summaries: Summaries | None = None
    """Where the metrics API reads what nodes use; None = from their kubelets."""
    sockets: Sequence[socket.socket] = ()
    """Already bound, in place of host and port (which then only tells what clients are told)."""
    listen: bool = True
    """False: no sockets at all, the server is reached by ``client`` alone (the simulator)."""
    registry: Registry | None = None
    plugins: Sequence[Plugin] | None = None
    """In place of the built-in ones."""
    audit: Sink | None = None
    """Gets the lines of the audit log; None = no audit."""
    audit_policy: Policy | None = None
    """None = the metadata of each finished request."""
    enable_admission: Sequence[str] = ()
    disable_admission: Sequence[str] = ()
    """Names of plugins, besides or without those that are on by default."""
    clock: Callable[[], float] = time.time
    entropy: Callable[[int], bytes] = os.urandom
    decode: Any = None
    cache_budget: int = 48 << 20
    cache_most: int = 0
    """Bytes of JSON whose decoded form is kept (three times larger): usually, and while more is in use."""
    retain_s: float = _COMPACT_S


def pooled(source: Callable[[int], bytes], size: int = 4096) -> Callable[[int], bytes]:
    """Random bytes in small portions; the source is asked for ``size`` at a time, since a system call is not free."""
    pool = b""
    at = 0

    def take(count: int) -> bytes:
        nonlocal pool, at
        if at + count > len(pool):
            pool, at = source(max(size, count)), 0
        at += count
        return pool[at - count : at]

    return take


def _yes() -> bool:
    return True


class ApiServer:
    """``await start()`` answers requests when it returns; ``port`` tells where."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.store = config.store
        self.clock = config.clock
        self.entropy = pooled(config.entropy)
        self.shared = config.shared
        self.quota_in_status = config.shared or config.quota_in_status
        self.registry = config.registry or builtin()
        self.cache = Cache(
            self.registry.stored(), decode=config.decode, budget=config.cache_budget, most=config.cache_most
        )
        self.objects = Objects(self.cache, self.registry, self.entropy)
        self.metrics = Metrics()
        self.metrics.count_objects = self._counts
        self.audit_ids = AuditIds(config.entropy)
        self.health = Health(self.clock())
        self.metrics_api = MetricsApi(self, config.summaries)
        self.component_statuses = ComponentStatuses(self)
        self.discovery = Discovery(self.registry, config.advertise_address)
        self.openapi = OpenAPI(self.registry)
        self.documents = Documents(self)
        self.specials = {**SPECIALS, **REVIEWS}
        self.aggregation = Aggregation(self)
        self.aggregator: Aggregator | None = self.aggregation.answer
        self.port = config.port
        self.rbac: Rbac
        self.gate: Gate
        self._followed: Follower | None = None
        self._ready = False
        self._stopping = False
        self._timer: asyncio.TimerHandle | None = None
        self._compactable = 0
        self._authorization()
        self._authentication()
        self.allocator = ServiceAllocator(config.service_cidrs, config.node_ports, self.entropy)
        self.claims = Claims(self)
        self.quotas = Quotas(self)
        self.escalation = Escalation(self.rbac, self.gate.authorizer)
        plugins = [
            *(
                config.plugins
                if config.plugins is not None
                else chosen(config.enable_admission, config.disable_admission)
            ),
            self._own_plugin(),
        ]
        plugins.append(Plugin("CustomResources", mutate=lambda w, o: self.definitions.admit(w, o), blind=_yes))
        plugins.append(MutatingPolicies(self.objects, self.registry).plugin())
        plugins.append(ValidatingPolicies(self.objects, self.registry).plugin())
        self.admission = Chain(plugins, self.objects, self._reserve)
        self.admission.observe = self.metrics.admitted
        self.webhook_client = Webhooks(self.objects)
        self.admission.webhooks = WebhookAdmission(
            self.objects, self.registry, self.webhook_client, config.entropy, self.admission.rerun
        )
        self.rest = Rest(
            self.store,
            self.objects,
            self.admission,
            clock=self.clock,
            entropy=self.entropy,
            transforms=transforms(self.registry, self.objects),
            observe=self.metrics.stored,
        )
        self.rest.settled = self.claims.settled
        if config.shared:
            self.rest.refresh = self._refresh
        self.flow = FlowControl(
            self.objects.view(SCHEMAS),
            self.objects.view(LEVELS),
            config.max_reading + config.max_writing,
            stored=self._stored,
            watchers=self._watchers,
            clock=self.clock,
        )
        self.upkeep = Upkeep(self)
        self.metrics.flow = self.flow
        self.audit = (
            Audit(config.audit, self.gate.authorizer, config.audit_policy) if config.audit is not None else None
        )
        self.lister = Lister(self.store, shared=config.shared)
        self.kubelets = Kubelets(self.objects.get, self._kubelet_context())
        self.http: Server
        self.watches = Watches(self.metrics, self._spawn, min_timeout_s=config.watch_timeout_s, store=self.store)
        self.api = Api(self)
        self.http = Server(self.api.handle)
        self.bootstrap = Bootstrap(self)
        self.definitions = Definitions(self)
        self._checks()

    # -- what requests are measured by

    def _stored(self, info: RequestInfo) -> tuple[int, int]:
        kind = self.registry.by_resource(info.group, info.version, info.resource)
        if kind is None or kind.computed or info.verb not in ("list", "watch"):
            return 0, 0
        collection = self.objects.collection(kind)
        return len(collection), collection.bytes

    def computed(self, kind: Kind) -> MetricsApi | ComponentStatuses:
        """What makes the objects of a kind that is not stored."""
        return self.component_statuses if kind is COMPONENT_STATUS else self.metrics_api

    def _watchers(self, info: RequestInfo) -> int:
        return self.metrics.watching.get((info.group, info.version, info.resource), 0)

    # -- parts

    def _authorization(self) -> None:
        view = self.objects.view
        self.rbac = Rbac(
            view(f"clusterroles.{RBAC}"),
            view(f"clusterrolebindings.{RBAC}"),
            view(f"roles.{RBAC}"),
            view(f"rolebindings.{RBAC}"),
        )
        node_role = next(t for t in policy() if t["kind"] == "ClusterRole" and t["metadata"]["name"] == "system:node")
        kind = self.objects.kind(f"clusterroles.{RBAC}")
        from pelamis.api import codec

        rules = compile_rules(codec.from_tree(kind, node_role).rules)
        node = NodeAuthorizer(
            rules,
            view("pods"),
            view("persistentvolumeclaims"),
            view("persistentvolumes"),
            view("volumeattachments.storage.k8s.io"),
        )
        self.gate = Gate(Union(node, self.rbac))
        self.objects.authorizer = self.gate.authorizer

    def _authentication(self) -> None:
        config = self.config
        key = load_private(config.service_account_key)
        self.issuer = Issuer(key, config.issuer)
        keys = [key.public_key(), *(load_public(k) for k in config.more_service_account_keys)]
        self.jwks = {"keys": [jwk(k) for k in keys]}
        tokens = Validator(keys, self.objects.get, issuer=config.issuer, audiences=config.api_audiences)
        tokens.used = self._legacy_token_used
        self.authenticator = Authenticator(
            tokens,
            lambda name: self.objects.get("secrets", "kube-system", name),
            anonymous=config.anonymous,
            front_proxy=FrontProxy(config.front_proxy_ca, config.client_ca) if config.front_proxy_ca else None,
        )

    def _legacy_token_used(self, secret: Any, now: float) -> None:
        """Its Secret tells the day, from which the cleaner of such tokens can see which nobody needs."""
        meta = secret.metadata
        write = Write("patch", self.objects.kind("secrets"), LOOPBACK_USER, meta.namespace, meta.name)
        write.user_agent = "kube-apiserver"
        write.patch = Patch("merge", {"metadata": {"uid": meta.uid, "labels": {LAST_USED: rfc3339(now)[:10]}}})

        async def note() -> None:
            try:
                await self.rest.one(write)
            except StatusError as error:
                log.info("the use of the token in secret %s/%s is not noted: %s", meta.namespace, meta.name, error)

        self._spawn(note(), "noting the use of a token")

    def _own_plugin(self) -> Plugin:
        """What needs the server's own state: service addresses, and the check against escalation."""
        rbac = ("clusterroles", "clusterrolebindings", "roles", "rolebindings")

        def mutate(write: Write, objects: Any) -> None:
            if write.resource == "services" and not write.subresource:
                self.allocator.mutate(write)

        def validate(write: Write, obj: Any, objects: Any) -> None:
            if write.resource in rbac and write.operation != "DELETE":
                error = self.escalation.check(
                    write.user, write.resource, obj, write.old.obj if write.old is not None else None
                )
                if error is not None:
                    raise error

        names = frozenset(("services", *(f"{r}.{RBAC}" for r in rbac)))
        return Plugin("Server", names, mutate=mutate, validate=validate)

    async def _refresh(self) -> bool:
        """The cache as new as the store; False when it was already."""
        before = self.cache.rev
        try:
            rev = await self.store.current_rev()
        except (Unavailable, Closed, StoreFull):
            return False
        if rev <= before:
            return False
        reached: asyncio.Future[None] = self.loop.create_future()
        self.cache.progress.when_reached(rev, lambda: None if reached.done() else reached.set_result(None))
        try:
            await asyncio.wait_for(reached, WAIT_S)
        except TimeoutError:
            return False
        return True

    def _reserve(self, write: Write, obj: Any) -> Awaitable[None] | None:
        """The last steps of admission, which may have to wait: quota, then addresses and ports of Services."""
        quota = self.quotas.reserve(write, obj)
        if quota is not None:
            return self._reserved(quota, write, obj)
        return self.claims.reserve(write, obj)

    async def _reserved(self, quota: Awaitable[None], write: Write, obj: Any) -> None:
        await quota
        claim = self.claims.reserve(write, obj)
        if claim is not None:
            await claim

    def _kubelet_context(self) -> ssl.SSLContext | None:
        """How the server meets kubelets: with its client certificate, checking theirs where their CA is known."""
        if self.config.kubelet_client is None:
            return None
        ca = self.config.kubelet_ca
        return client_context(ca, self.config.kubelet_client, verify=bool(ca))

    def _checks(self) -> None:
        fine: Callable[[], str] = lambda: ""  # noqa: E731
        health = self.health
        health.add("ping", fine)
        health.add("log", fine)
        health.add("etcd", self._store_health)
        health.add("etcd-readiness", self._store_health, "readyz")
        health.add("informer-sync", lambda: "" if self._ready else "not yet", "readyz")
        for stage in START_STAGES:
            health.add(stage, lambda: "" if self._ready else "not finished")
        health.add("shutdown", lambda: "process is shutting down" if self._stopping else "", "readyz")

    async def _store_health(self) -> str:
        """Asks the store, and remembers what the last write met: a full store still reads."""
        known = self.store.trouble or self.rest.trouble
        if known:
            return f"etcd failed: {known}"
        try:
            async with asyncio.timeout(_STORE_PATIENCE_S):
                await self.store.current_rev()
        except (Closed, Unavailable, StoreFull, TimeoutError) as error:
            return f"etcd failed: {error}"
        return ""

    def _counts(self) -> list[tuple[str, int]]:
        return [(c.kind.resource, len(c)) for c in self.cache]

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self.http.loop

    @property
    def advertise_address(self) -> str:
        return self.config.advertise_address or (
            self.config.host if self.config.host not in ("", "0.0.0.0", "::") else "127.0.0.1"
        )

    @property
    def advertise_port(self) -> int:
        return self.port

    def _spawn(self, work: Any, name: str) -> Any:
        return self.http.spawn(work, name)

    # -- life

    async def start(self) -> None:
        """The store must be open. Raises OSError when the address is taken."""
        self.http.loop = asyncio.get_running_loop()
        self.cache.decoder.later = self.loop.call_later
        self._followed = await load(self.store, self.cache)
        self.allocator.follow(self.objects.view("services"), self.objects.view("servicecidrs.networking.k8s.io"))
        await self.definitions.start()
        if not self.config.listen:
            pass
        elif self.config.sockets:
            for sock in self.config.sockets:
                await self.http.listen_on(sock, self.config.tls)
        else:
            self.port = await self.http.listen(self.config.host, self.config.port, self.config.tls)
        self.discovery.set_address(f"{self.advertise_address}:{self.port}")
        await self.bootstrap.run()
        await self.claims.publish_range(self.config.service_cidrs)
        await self._repair_claims()
        self.aggregation.start()
        self._ready = True
        self._compactable = self.cache.rev
        self._timer = self.http.loop.call_later(self.config.retain_s, self._compact)

    async def stop(self, grace_s: float = 5.0) -> None:
        """Readiness fails, streams end, running requests finish; the store stays open."""
        self._stopping = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._ready:
            await self.bootstrap.stop()
        self.upkeep.stop()
        self.watches.stop()
        await self.definitions.stop()
        await self.aggregation.stop()
        await self.http.close(grace_s)
        await self.metrics_api.close()
        await self.kubelets.close()
        await self.webhook_client.close()
        if self._followed is not None:
            self._followed.cancel()
            self._followed = None

    def _compact(self) -> None:
        """Forget what is older than two intervals; nothing to do when nothing was written."""
        assert self.http.loop is not None
        self._spawn(self._repair_claims(), "repair of claims")
        keep_from, self._compactable = self._compactable, self.cache.rev
        if keep_from < self.cache.rev:
            self._spawn(self._compact_store(keep_from), "compaction")
        self._timer = self.http.loop.call_later(self.config.retain_s, self._compact)

    async def _repair_claims(self) -> None:
        try:
            await self.claims.repair()
        except Exception:
            log.exception("the records of addresses and node ports could not be repaired")

    async def _compact_store(self, rev: int) -> None:
        try:
            await self.store.compact(rev)
            self.lister.oldest = rev
        except Exception:
            log.exception("compaction at %d failed", rev)

    # -- for components in this process

    def client(self, user: str | User, *groups: str, agent: str = "") -> LocalClient:
        """A client with the identity of ``user``, such as ``system:kube-scheduler`` or a service account."""
        return LocalClient(self, user if isinstance(user, User) else component_user(user, *groups), agent)

    async def hold_kind(self, kind: Kind, refresh: Callable[[bytes], bytes] | None = None) -> None:
        """The objects of a stored kind, in the cache. refresh: brings bytes to the kind's present declaration."""
        if any(c.kind.prefix == kind.prefix for c in self.cache):
            # A former schema's defaults and prunings are not in the store, so they end with it.
            stored = (await self.store.range(kind.prefix)).items if refresh is not None else ()
            self.cache.swap(kind, refresh, stored)
            return
        collection = self.cache.add(kind, loading=True)
        page = await self.store.range(kind.prefix)
        collection.load(page.items, page.rev, refresh)

    def drop_kind(self, kind: Kind) -> None:
        self.cache.remove(kind)
        self.objects.forget(kind.resource)

    def aggregate(self, request: Request, info: RequestInfo, user: User) -> Answered:
        """What an aggregated API server answers; None = nobody serves the path."""
        return self.aggregator(request, info, user) if self.aggregator is not None else None
