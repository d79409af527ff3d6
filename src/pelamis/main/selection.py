"""Which controllers run: ``--controllers``, with the names and the meaning of kube-controller-manager's option.

``*`` stands for all, ``NAME`` for one and ``-NAME`` for all but it; what comes first in the list holds. Upstream's
older names (``deployment`` for ``deployment-controller``) are understood too.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from pelamis.main.config import ConfigError

EVERY = "*"

NAMES: dict[str, tuple[str, ...]] = {
    "attachdetach": ("persistentvolume-attach-detach-controller",),
    "bootstrapsigner": ("bootstrap-signer-controller",),
    "clusterroleaggregation": ("clusterrole-aggregation-controller", "clusterrole-aggregation"),
    "clustertrustbundle": ("kube-apiserver-serving-clustertrustbundle-publisher-controller",),
    "cronjob": ("cronjob-controller",),
    "csrapproving": ("certificatesigningrequest-approving-controller",),
    "csrcleaner": ("certificatesigningrequest-cleaner-controller",),
    "csrsigning": ("certificatesigningrequest-signing-controller",),
    "daemonset": ("daemonset-controller",),
    "deployment": ("deployment-controller",),
    "devicetainteviction": ("device-taint-eviction-controller",),
    "disruption": ("disruption-controller",),
    "endpoints": ("endpoints-controller", "endpoint"),
    "endpointslice": ("endpointslice-controller",),
    "endpointslicemirroring": ("endpointslice-mirroring-controller",),
    "ephemeralvolume": ("ephemeral-volume-controller", "ephemeral-volume"),
    "expand": ("persistentvolume-expander-controller", "persistentvolume-expander"),
    "garbagecollector": ("garbage-collector-controller",),
    "horizontalpodautoscaler": ("horizontal-pod-autoscaler-controller", "horizontalpodautoscaling"),
    "job": ("job-controller",),
    "legacytokencleaner": ("legacy-serviceaccount-token-cleaner-controller", "legacy-service-account-token-cleaner"),
    "namespace": ("namespace-controller",),
    "nodeipam": ("node-ipam-controller",),
    "nodelifecycle": ("node-lifecycle-controller",),
    "pcrcleaner": ("podcertificaterequest-cleaner-controller",),
    "persistentvolumebinder": ("persistentvolume-binder-controller", "persistentvolume-binder"),
    "podgc": ("pod-garbage-collector-controller",),
    "pvcprotection": ("persistentvolumeclaim-protection-controller", "pvc-protection"),
    "pvprotection": ("persistentvolume-protection-controller", "pv-protection"),
    "replicaset": ("replicaset-controller",),
    "replicationcontroller": ("replicationcontroller-controller",),
    "resourceclaim": ("resourceclaim-controller",),
    "resourcequota": ("resourcequota-controller",),
    "rootca": ("root-ca-certificate-publisher-controller", "root-ca-cert-publisher"),
    "serviceaccount": ("serviceaccount-controller",),
    "serviceaccounttoken": ("serviceaccount-token-controller", "serviceaccount-token"),
    "servicecidr": ("service-cidr-controller",),
    "servicelb": ("service-lb-controller", "service"),
    "statefulset": ("statefulset-controller",),
    "storageversionmigrator": ("storage-version-migrator-controller", "svm"),
    "tainteviction": ("taint-eviction-controller",),
    "tokencleaner": ("token-cleaner-controller",),
    "ttl": ("ttl-controller",),
    "ttlafterfinished": ("ttl-after-finished-controller", "ttl-after-finished"),
    "vacprotection": ("volumeattributesclass-protection-controller",),
    "validatingadmissionpolicystatus": ("validatingadmissionpolicy-status-controller",),
}
"""Name of ours (which often is one of upstream's older names) -> upstream's name, upstream's older name."""


def parse(text: str) -> str:
    """The option's text, checked and without spaces. Raises ConfigError for a name that nobody bears."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    known = {name for ours, others in NAMES.items() for name in (ours, *others)}
    for word in words:
        name = word.removeprefix("-")
        if word != EVERY and name not in known:
            near = get_close_matches(name, sorted(known), 1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            every = ", ".join(sorted(others[0] for others in NAMES.values()))
            raise ConfigError(f'--controllers: "{name}" is not in the list of known controllers{hint}: {every}')
    return ",".join(words)


def enabled(name: str, words: Iterable[str]) -> bool:
    """Whether the controller that is called ``name`` here runs."""
    names = (name, *NAMES.get(name, ()))
    every = False
    for word in words:
        if word.removeprefix("-") in names:
            return not word.startswith("-")
        every = every or word == EVERY
    return every
