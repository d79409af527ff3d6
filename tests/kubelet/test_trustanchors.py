"""Projected trust bundles: by name, and by signer and labels."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pelamis.api.certificates.clustertrustbundle import KIND as BUNDLE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.kubelet.references import of_pod
from pelamis.kubelet.volumes import projected
from pelamis.kubelet.volumes.context import Context
from pelamis.kubelet.volumes.payload import VolumeError
from pelamis.kubelet.volumes.trustanchors import put_together


def pem(text: str, wide: int = 64) -> str:
    body = base64.b64encode(text.encode() * 90).decode()
    lines = [body[i : i + wide] for i in range(0, len(body), wide)]
    return "\n".join(["# a comment", "-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


def read(kind: Any, tree: dict[str, Any]) -> Any:
    return msgspec.json.decode(msgspec.json.encode(tree), type=kind.type)


def bundle(name: str, signer: str, text: str, **labels: str) -> Any:
    tree = {"metadata": {"name": name, "labels": labels}, "spec": {"signerName": signer, "trustBundle": pem(text)}}
    return read(BUNDLE, tree)


HELD = [bundle("one", "", "a"), bundle("s:x", "x.io/s", "b", env="p"), bundle("s:y", "x.io/s", "c", env="t")]


def test_each_certificate_once_and_nothing_else() -> None:
    made = put_together([pem("b"), pem("a") + pem("b", 30)]).decode()
    assert made == put_together([pem("a", 20), pem("b")]).decode()
    assert made.count("BEGIN CERTIFICATE") == 2 and "comment" not in made
    assert max(map(len, made.splitlines())) == 64 and made.endswith("-----END CERTIFICATE-----\n")


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ({"name": "one"}, "a"),
        ({"name": "none"}, None),
        ({"name": "none", "optional": True}, ""),
        ({"signerName": "x.io/s", "labelSelector": {}}, "bc"),
        ({"signerName": "x.io/s", "labelSelector": {"matchLabels": {"env": "t"}}}, "c"),
        ({"signerName": "x.io/s"}, None),
        ({"signerName": "x.io/s", "optional": True}, ""),
        ({"signerName": "x.io/other", "labelSelector": {}}, None),
    ],
)
def test_what_is_chosen(source: dict[str, Any], texts: str | None) -> None:
    volume = {"name": "v", "projected": {"sources": [{"clusterTrustBundle": {"path": "ca.pem", **source}}]}}
    pod = read(POD, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}], "volumes": [volume]}})
    ((_, _, ref),) = of_pod(pod)
    assert ref == source.get("name", "spec.signerName=" + source.get("signerName", ""))
    context: Any = object.__new__(Context)
    object.__setattr__(context, "pod", pod)
    object.__setattr__(context, "folder", Path())
    found = lambda name, signer: [b for b in HELD if (b.metadata.name == name if name else b.spec.signerName == signer)]  # noqa: E731
    object.__setattr__(context, "trust_bundles", found)
    if texts is None:
        with pytest.raises(VolumeError):
            asyncio.run(projected._files(context, pod.spec.volumes[0]))
        return
    files = asyncio.run(projected._files(context, pod.spec.volumes[0]))
    assert files["ca.pem"].data == put_together(pem(t) for t in texts)
