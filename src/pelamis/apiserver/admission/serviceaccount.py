"""ServiceAccount: every pod runs as a service account that exists, and finds its token in a well-known place.

A namespace and a pod in it are often created in one go. The account ``default`` is made by a controller, so a pod that
needs it waits for it, for a second at most.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from pelamis.api.field import Tree
from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.write import Objects, Suspended, Write
from pelamis.base.ids import suffix
from pelamis.base.tree import copy

_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_PREFIX = "kube-api-access-"
_EXPIRATION_S = 3607
_DEFAULT = "default"
_PATIENCE_S = 1.0
_MIRROR = "kubernetes.io/config.mirror"
_ENFORCE = "kubernetes.io/enforce-mountable-secrets"


def _mutate(write: Write, objects: Objects) -> None:
    if write.operation != "CREATE":
        return
    tree = write.tree
    spec: Tree = tree.setdefault("spec", {})
    if _MIRROR in (tree["metadata"].get("annotations") or {}):
        _check_mirror(write, spec)
        return
    name = spec.get("serviceAccountName") or _DEFAULT
    spec["serviceAccountName"] = name
    spec["serviceAccount"] = name
    account: Any = objects.get("serviceaccounts", write.namespace, name)
    if account is None:
        if name == _DEFAULT and not write.waited:
            write.waited = True
            raise Suspended(lambda: _appears(objects, write.namespace))
        raise write.forbid(
            f'error looking up service account {write.namespace}/{name}: serviceaccount "{name}" not found'
        )
    if account.metadata.annotations.get(_ENFORCE) == "true":
        _check_secrets(write, spec, account)
    automount = spec.get("automountServiceAccountToken")
    if automount is None:
        automount = account.automountServiceAccountToken
    if automount is None or automount:
        _mount(spec, objects)
    if not spec.get("imagePullSecrets") and account.imagePullSecrets:
        spec["imagePullSecrets"] = [{"name": ref.name} for ref in account.imagePullSecrets]


async def _appears(objects: Objects, namespace: str) -> None:
    """Until the namespace has its default account, or patience ends."""
    view = objects.view("serviceaccounts")
    found = asyncio.get_running_loop().create_future()

    def changed(key: tuple[str, str], old: Any, new: Any) -> None:
        if new is not None and key == (namespace, _DEFAULT) and not found.done():
            found.set_result(None)

    stop = view.subscribe(changed, replay=False)
    try:
        if view.get(namespace, _DEFAULT) is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_S):
                    await found
    finally:
        stop()


def _check_mirror(write: Write, spec: Tree) -> None:
    if spec.get("serviceAccountName"):
        raise write.forbid("a mirror pod may not reference service accounts")
    for volume in spec.get("volumes", ()):
        for source in (volume.get("projected") or {}).get("sources", ()):
            if "serviceAccountToken" in source:
                raise write.forbid("a mirror pod may not use ServiceAccountToken volume projections")
    for volume in spec.get("volumes", ()):
        if "secret" in volume:
            raise write.forbid("a mirror pod may not reference secrets")


def _check_secrets(write: Write, spec: Tree, account: Any) -> None:
    allowed = {ref.name for ref in account.secrets}
    for volume in spec.get("volumes", ()):
        secret = (volume.get("secret") or {}).get("secretName")
        if secret and secret not in allowed:
            raise write.forbid(
                f'volume with secret.secretName="{secret}" is not allowed because service account '
                f"{account.metadata.name} does not reference that secret"
            )


def _mount(spec: Tree, objects: Objects) -> None:
    """A projected volume for each container that has nothing mounted at the path."""
    volumes: list[Tree] = spec.get("volumes") or []
    name = next((v["name"] for v in volumes if v["name"].startswith(_PREFIX)), "")
    fresh = not name
    if fresh:
        taken = {v["name"] for v in volumes}
        while not name or name in taken:
            name = _PREFIX + suffix(objects.entropy(8))
    needed = False
    for group in ("initContainers", "containers"):
        for container in spec.get(group) or ():
            mounts = container.get("volumeMounts") or []
            if any(m.get("mountPath") == _PATH for m in mounts):
                continue
            mounts.append({"name": name, "readOnly": True, "mountPath": _PATH})
            container["volumeMounts"] = mounts
            needed = True
    if needed and fresh:
        volumes.append({"name": name, "projected": copy(_PROJECTED)})
        spec["volumes"] = volumes


_PROJECTED: Tree = {
    "sources": [
        {"serviceAccountToken": {"expirationSeconds": _EXPIRATION_S, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {
            "downwardAPI": {
                "items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]
            }
        },
    ],
    "defaultMode": 420,
}


PLUGIN = Plugin("ServiceAccount", frozenset(("pods",)), mutate=_mutate)
