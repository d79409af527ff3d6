"""A valid status for every kind that has the status subresource."""

from __future__ import annotations

from typing import Any

from pelamis.api.field import Tree

T = "2026-01-01T00:00:00Z"


def condition(kind: str, **more: Any) -> Tree:
    return {"type": kind, "status": "True", "lastTransitionTime": T, "reason": "Tested", "message": "m", **more}


_INGRESS: Tree = {"ingress": [{"ip": "192.0.2.200", "ports": [{"port": 80, "protocol": "TCP"}]}]}
_REPLICAS = {"replicas": 3, "readyReplicas": 2, "availableReplicas": 1, "observedGeneration": 1}
_PLAIN = {"type": "Tested", "status": "True", "lastTransitionTime": T, "reason": "Tested", "message": "m"}

STATUS: dict[str, Tree] = {
    "Namespace": {"phase": "Active", "conditions": [_PLAIN]},
    "Node": {
        "capacity": {"cpu": "4", "memory": "8Gi"},
        "allocatable": {"cpu": "3", "memory": "7Gi"},
        "conditions": [{**_PLAIN, "type": "Ready", "lastHeartbeatTime": T}],
        "addresses": [{"type": "InternalIP", "address": "192.0.2.100"}],
        "images": [{"names": ["a:1"], "sizeBytes": 5}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
    },
    "PersistentVolumeClaim": {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}},
    "PersistentVolume": {"phase": "Available", "message": "m", "reason": "R"},
    "Pod": {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": "m"}],
        "message": "m",
        "reason": "R",
    },
    "ReplicationController": {**_REPLICAS, "conditions": [_PLAIN]},
    "ResourceQuota": {"hard": {"pods": "5"}, "used": {"pods": "1"}},
    "Service": {"loadBalancer": {}, "conditions": [condition("Tested")]},
    "APIService": {"conditions": [{**_PLAIN, "type": "Available"}]},
    "DaemonSet": {"currentNumberScheduled": 1, "numberMisscheduled": 0, "desiredNumberScheduled": 2, "numberReady": 1},
    "Deployment": {**_REPLICAS, "updatedReplicas": 3, "conditions": [{**_PLAIN, "lastUpdateTime": T}]},
    "ReplicaSet": {**_REPLICAS, "conditions": [_PLAIN]},
    "StatefulSet": {**_REPLICAS, "currentRevision": "a", "updateRevision": "b", "collisionCount": 1},
    "HorizontalPodAutoscaler": {"currentReplicas": 1, "desiredReplicas": 2, "lastScaleTime": T},
    "CronJob": {"lastScheduleTime": T, "lastSuccessfulTime": T},
    "Job": {"active": 1, "ready": 1, "startTime": None, "conditions": [{**_PLAIN, "type": "Suspended"}]},
    "CertificateSigningRequest": {  # without times: one that failed long ago is cleaned away
        "conditions": [{"type": "Failed", "status": "True", "reason": "Tested", "message": "m"}]
    },
    "PodCertificateRequest": {"conditions": [condition("Denied")]},
    "Ingress": {"loadBalancer": _INGRESS},
    "ServiceCIDR": {"conditions": [condition("Ready")]},
    "PodDisruptionBudget": {
        "currentHealthy": 3,
        "desiredHealthy": 2,
        "disruptionsAllowed": 1,
        "expectedPods": 3,
        "observedGeneration": 1,
    },
    "CSINode": {},
    "VolumeAttachment": {"attached": True, "attachmentMetadata": {"a": "b"}},
    "ValidatingAdmissionPolicy": {"observedGeneration": 1, "conditions": [condition("Tested")]},
    "CustomResourceDefinition": {"conditions": [{**_PLAIN, "type": "Tested"}]},
    "FlowSchema": {"conditions": [{**_PLAIN, "type": "Dangling"}]},
    "PriorityLevelConfiguration": {"conditions": [_PLAIN]},
    "DeviceTaintRule": {"conditions": [condition("Tested")]},
    "ResourceClaim": {
        "allocation": {"devices": {"results": [{"request": "one", "driver": "d.test", "pool": "p", "device": "x"}]}},
    },
    "StorageVersion": {
        "storageVersions": [
            {"apiServerID": "a", "encodingVersion": "x.test/v1", "decodableVersions": ["x.test/v1", "v2"]}
        ],
        "commonEncodingVersion": "x.test/v1",
        "conditions": [condition("AllEncodingVersionsEqual", observedGeneration=1)],
    },
    "EvictionRequest": {"observedGeneration": 1, "conditions": [condition("Tested")]},
    "Eviction": {
        "observedGeneration": 1,
        "conditions": [condition("Tested")],
        "requesters": [{"name": "x.test/r", "intent": "Eviction"}],
        "targetResponders": [{"name": "x.test/a", "priority": 5, "state": "Active"}],
        "responders": [{"name": "x.test/a", "startTime": T, "heartbeatTime": T, "message": "m"}],
    },
    "ResourcePoolStatusRequest": {
        "poolCount": 1,
        "pools": [
            {
                "driver": "x.test",
                "poolName": "p",
                "generation": 1,
                "totalDevices": 2,
                "partitionSummary": [{"attribute": "a", "type": "t", "total": 2, "allocatable": 1}],
                "shareableSummary": {
                    "fullyAvailableDevices": 1,
                    "partiallyAvailableDevices": 0,
                    "capacity": [{"name": "m", "total": "2", "consumed": "1", "available": "1"}],
                },
            }
        ],
        "conditions": [condition("Complete")],
    },
    "PodGroup": {
        "conditions": [condition("Tested")],
        "resourceClaimStatuses": [{"name": "one", "resourceClaimName": "made"}],
    },
    "CompositePodGroup": {"conditions": [condition("Tested")]},
    "StorageVersionMigration": {"conditions": [condition("Running")], "resourceVersion": "5"},
}
