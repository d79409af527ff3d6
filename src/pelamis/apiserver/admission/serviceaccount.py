"""ServiceAccount: every pod runs as a service account that exists, and finds its token in a well-known place."""

from __future__ import annotations

from typing import Any

from pelamis.api.field import Tree
from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.write import Objects, Write
from pelamis.base.ids import suffix
from pelamis.base.tree import copy

_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_PREFIX = "kube-api-access-"
_EXPIRATION_S = 3607
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
    name = spec.get("serviceAccountName") or "default"
    spec["serviceAccountName"] = name
    spec["serviceAccount"] = name
    account: Any = objects.get("serviceaccounts", write.namespace, name)
    if account is None:
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
