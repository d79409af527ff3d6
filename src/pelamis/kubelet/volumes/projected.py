"""projected: several sources in one directory: secrets, ConfigMaps, downward API, tokens, trust bundles.

The files live in memory. Tokens are taken from the agent's token cache, which renews them at 80 % of their life, so
setting the volume up again is all that rotation needs.
"""

from __future__ import annotations

from typing import Any

from pelamis.base.labels import from_label_selector
from pelamis.kubelet.volumes import atomic, mount, payload
from pelamis.kubelet.volumes.atomic import File
from pelamis.kubelet.volumes.context import Context
from pelamis.kubelet.volumes.trustanchors import put_together

TOKEN_TTL_S = 3600


def _single_user(pod: Any) -> int | None:
    """The one user that all containers run as, if it is declared."""
    outer = pod.spec.securityContext
    users = set()
    for container in (*pod.spec.initContainers, *pod.spec.containers):
        inner = container.securityContext
        user = inner.runAsUser if inner is not None and inner.runAsUser is not None else None
        if user is None and outer is not None:
            user = outer.runAsUser
        users.add(user)
    return users.pop() if len(users) == 1 else None


def _private(context: Context, content: bytes, mode: int, *users: int | None) -> File:
    """For its owner alone where that is known: the first of ``users``, or the one that all containers run as."""
    only = _single_user(context.pod)
    own = mode if context.fs_group is None and only is None else 0o600
    return File(content, own, next((user for user in (*users, only) if user is not None), None))


async def _files(context: Context, volume: Any) -> dict[str, File]:
    source, pod = volume.projected, context.pod
    namespace = pod.metadata.namespace
    mode = payload.mode_of(source.defaultMode)
    default_user = source.defaultUser
    out: dict[str, File] = {}
    for part in source.sources:
        if part.secret is not None:
            found = context.secret(namespace, part.secret.name)
            if found is not None:
                out |= payload.secret(found, part.secret.items, mode, bool(part.secret.optional), default_user)
            elif not part.secret.optional:
                raise payload.VolumeError(f'secret "{part.secret.name}" not found')
        elif part.configMap is not None:
            found = context.configmap(namespace, part.configMap.name)
            if found is not None:
                items, optional = part.configMap.items, bool(part.configMap.optional)
                out |= payload.configmap(found, items, mode, optional, default_user)
            elif not part.configMap.optional:
                raise payload.VolumeError(f'configmap "{part.configMap.name}" not found')
        elif part.downwardAPI is not None:
            out |= payload.downward(
                pod, part.downwardAPI.items, mode, context.ips, context.host_ips, context.allocatable, default_user
            )
        elif part.serviceAccountToken is not None:
            ref = part.serviceAccountToken
            text = await context.token(pod, ref.audience, ref.expirationSeconds or TOKEN_TTL_S)
            out[ref.path] = _private(context, text.encode(), mode, ref.user, default_user)
        elif part.clusterTrustBundle is not None:
            ref = part.clusterTrustBundle
            bundles = context.trust_bundles(ref.name or "", ref.signerName or "")
            if not ref.name:
                selector = from_label_selector(ref.labelSelector)
                bundles = [b for b in bundles if selector.matches(b.metadata.labels)]
            if not bundles and not ref.optional:
                raise payload.VolumeError(
                    f'while getting ClusterTrustBundle: clustertrustbundle.certificates.k8s.io "{ref.name}" not found'
                    if ref.name
                    else "combination of signerName and labelSelector matched zero ClusterTrustBundles"
                )
            anchors = put_together(b.spec.trustBundle for b in bundles)
            out[ref.path] = _private(context, anchors, mode, ref.user, default_user)
        elif part.podCertificate is not None:
            raise payload.VolumeError("podCertificate volumes are not supported by this node")
    return out


async def setup(context: Context, volume: Any) -> str:
    files = await _files(context, volume)
    path = context.path("projected", volume.name)
    path.mkdir(parents=True, exist_ok=True)
    if not mount.is_mounted(path):
        mount.tmpfs(path, mode=0o1777)
    atomic.write(path, files, context.stamp(), atomic.Owner(context.fs_group))
    return str(path)
