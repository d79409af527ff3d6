"""Claims and volumes on a real API server: bound, lost, released, waited for, with the texts that users read."""

from __future__ import annotations

import asyncio
from typing import Any

from pelamis.api.core.event import KIND as EVENT
from pelamis.api.core.namespace import KIND as NAMESPACE
from pelamis.api.core.persistentvolume import KIND as VOLUME
from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.storage.storageclass import KIND as CLASS
from pelamis.client.types import Create, Delete

from .test_controllers import live, made


def volume(name: str, size: str = "1Gi", **spec: Any) -> Create:
    body = {
        "capacity": {"storage": size},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": {"path": f"/data/{name}"},
        **spec,
    }
    return Create(VOLUME, {"metadata": {"name": name}, "spec": body})


def claim(name: str, size: str = "1Gi", **spec: Any) -> Create:
    return made(CLAIM, name, **{"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec})


def phase(name: str, wanted: str, namespace: str = "team") -> Any:
    def holds(view: Any) -> bool:
        found = view.get(namespace, name)
        return found is not None and found.status.phase == wanted

    return holds


def says(reason: str, text: str) -> Any:
    return lambda view: any(e.reason == reason and text in e.message for e in view.list())


def test_claims_and_volumes() -> None:
    async def main() -> None:
        async with live() as world:
            await world.do(Create(NAMESPACE, {"metadata": {"name": "team"}}))
            # The smallest that is big enough; a claim that finds none takes the one that comes.
            await world.do(volume("big", "5Gi"), volume("fits", "2Gi"), volume("small", "100Mi"))
            await world.until(VOLUME, phase("fits", "Available", ""))
            await world.do(claim("data", "1Gi", storageClassName=""))
            await world.until(CLAIM, phase("data", "Bound"))
            bound = world.client.view(CLAIM).get("team", "data")
            assert bound.spec.volumeName == "fits"
            assert bound.status.capacity == {"storage": "2Gi"}
            assert bound.metadata.annotations["pv.kubernetes.io/bind-completed"] == "yes"
            ref = world.client.view(VOLUME).get("", "fits").spec.claimRef
            assert (ref.namespace, ref.name, ref.uid) == ("team", "data", bound.metadata.uid)

            await world.do(claim("late", "8Gi", storageClassName=""))
            await world.until(EVENT, says("FailedBinding", "no persistent volumes available for this claim"))
            await world.do(volume("huge", "10Gi"))
            await world.until(CLAIM, phase("late", "Bound"))

            # By name, from either side.
            await world.do(claim("named", volumeName="later", storageClassName=""))
            await world.do(volume("later"), volume("kept", claimRef={"namespace": "team", "name": "mine"}))
            await world.until(CLAIM, phase("named", "Bound"))
            await world.do(claim("mine", storageClassName=""))
            await world.until(CLAIM, phase("mine", "Bound"))
            assert world.client.view(CLAIM).get("team", "mine").spec.volumeName == "kept"
            await world.do(claim("greedy", "2Gi", volumeName="small", storageClassName=""))
            await world.until(EVENT, says("VolumeMismatch", 'volume "small": requested PV is too small'))
            await world.do(claim("second", volumeName="fits", storageClassName=""))
            await world.until(EVENT, says("FailedBinding", 'volume "fits" already bound to a different claim.'))

            # Classes: the default one, one that waits, one that is not there, and who is asked for a volume.
            marked = {"storageclass.kubernetes.io/is-default-class": "true"}
            fast = {"metadata": {"name": "fast"}, "provisioner": "example.com/disk"}
            slow = {**fast, "metadata": {"name": "slow"}, "volumeBindingMode": "WaitForFirstConsumer"}
            await world.do(claim("plain", "50Gi"), claim("waits", storageClassName="slow"))
            await world.do(claim("odd", storageClassName="no"))
            await world.until(EVENT, says("ProvisioningFailed", 'storageclass.storage.k8s.io "no" not found'))
            await world.do(Create(CLASS, fast), Create(CLASS, slow))
            await world.until(EVENT, says("WaitForFirstConsumer", "waiting for first consumer"))
            fast["metadata"] = {"name": "usual", "annotations": marked}
            await world.do(Create(CLASS, fast))
            await world.until(EVENT, says("ExternalProvisioning", "either by the external provisioner 'example.com/di"))
            plain = world.client.view(CLAIM).get("team", "plain")
            assert plain.spec.storageClassName == "usual"
            assert plain.metadata.annotations["volume.kubernetes.io/storage-provisioner"] == "example.com/disk"

            # The end of a claim and of a volume.
            await world.do(Delete(CLAIM, "team", "data"))
            await world.until(VOLUME, phase("fits", "Released", ""))
            await world.do(Delete(VOLUME, "", "huge"))
            await asyncio.sleep(0)
            assert world.client.view(VOLUME).get("", "huge").metadata.deletionTimestamp is not None  # protected
            await world.do(volume("gone", persistentVolumeReclaimPolicy="Delete", storageClassName="x"))
            await world.do(claim("short", storageClassName="x"))
            await world.until(CLAIM, phase("short", "Bound"))
            await world.do(Delete(CLAIM, "team", "short"))
            await world.until(VOLUME, phase("gone", "Failed", ""))
            await world.until(EVENT, says("VolumeFailedDelete", "no deletable volume plugin matched"))

    asyncio.run(main())
