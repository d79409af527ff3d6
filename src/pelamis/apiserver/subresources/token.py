"""``serviceaccounts/token``: a token for a service account, bound to what the request names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pelamis.api import codec
from pelamis.api.authentication.tokenrequest import validate
from pelamis.apiserver import incoming
from pelamis.apiserver.rest import Answer
from pelamis.apiserver.write import Write
from pelamis.base import ids
from pelamis.base.clock import rfc3339
from pelamis.base.errors import BadRequest, Conflict, Invalid, NotFound

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer

_WARN_S = 3607
"""What the injected volume asks for: such a token in fact lives a year, and its use after this time is warned of."""
_YEAR_S = 365 * 24 * 3600
_PLURALS = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}


async def request_token(server: ApiServer, write: Write) -> Answer:
    kind = server.registry.body("authentication.k8s.io", "v1", "TokenRequest")
    assert kind is not None
    tree = write.tree
    incoming.report(write, codec.clean(kind, tree))
    tree["spec"] = tree.get("spec") or {}
    if tree["spec"].get("expirationSeconds") is None:
        tree["spec"]["expirationSeconds"] = 3600
    if not tree["spec"].get("audiences"):
        tree["spec"]["audiences"] = list(server.config.api_audiences)
    asked = codec.from_tree(kind, tree)
    account = server.objects.get("serviceaccounts", write.namespace, write.name)
    if account is None:
        raise NotFound("serviceaccounts", "", write.name)
    meta = tree.setdefault("metadata", {})
    if meta.get("name", write.name) != write.name or meta.get("namespace", write.namespace) != write.namespace:
        raise BadRequest(
            f"the name of the object ({meta.get('name')}) does not match the name on the URL ({write.name})"
        )
    errors = validate(asked)
    if errors:
        raise Invalid("TokenRequest", "", write.name, errors)
    bound = _bound(server, write, asked.spec.boundObjectRef)
    now = server.clock()
    wanted = asked.spec.expirationSeconds
    expires, warn = wanted, 0
    if wanted == _WARN_S and set(asked.spec.audiences) <= set(server.config.api_audiences):
        expires, warn = _YEAR_S, _WARN_S
    expires = min(expires, server.config.max_token_s) if server.config.max_token_s else expires
    token = server.issuer.issue(
        write.namespace,
        write.name,
        account.metadata.uid,
        audiences=asked.spec.audiences,
        now=now,
        expires_s=expires,
        token_id=ids.uid(server.entropy(16)),
        bound=bound,
        warn_after_s=warn,
    )
    meta["name"], meta["namespace"] = write.name, write.namespace
    meta["creationTimestamp"] = rfc3339(now)
    tree["status"] = {"token": token, "expirationTimestamp": rfc3339(now + wanted)}
    return Answer(201, codec.encode(codec.from_tree(kind, tree)), None, 0, None, kind)


def _bound(server: ApiServer, write: Write, ref: Any) -> dict[str, dict[str, str]]:
    """The claims for the object that the token is bound to."""
    if ref is None:
        return {}
    plural = _PLURALS.get(ref.kind)
    if plural is None or ref.apiVersion not in ("v1", ""):
        group, _, version = ref.apiVersion.rpartition("/")
        raise BadRequest(f"cannot bind token to object of type {group}/{version}, Kind={ref.kind}")
    namespace = "" if plural == "nodes" else write.namespace
    found = server.objects.get(plural, namespace, ref.name)
    if found is None:
        raise NotFound(plural, "", ref.name)
    if ref.uid and ref.uid != found.metadata.uid:
        raise Conflict(
            plural,
            "",
            ref.name,
            f"the UID in the bound object reference ({ref.uid}) does not match the UID in record. "
            "The object might have been deleted and then recreated",
        )
    claims = {plural[:-1]: {"name": ref.name, "uid": found.metadata.uid}}
    if plural == "pods":
        if found.spec.serviceAccountName != write.name:
            raise BadRequest(
                f'cannot bind token for serviceaccount "{write.name}" to pod running '
                "with different serviceaccount name."
            )
        node = server.objects.get("nodes", "", found.spec.nodeName) if found.spec.nodeName else None
        if found.spec.nodeName:
            claims["node"] = {"name": found.spec.nodeName}
            if node is not None:
                claims["node"]["uid"] = node.metadata.uid
    return claims
