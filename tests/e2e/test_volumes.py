"""Claims without any set-up: a StatefulSet's data outlives its pods, and goes with the claim."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.lab import Lab, until

pytestmark = pytest.mark.e2e

MANIFEST = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: notes}
spec:
  serviceName: notes
  replicas: 1
  selector: {matchLabels: {app: notes}}
  template:
    metadata: {labels: {app: notes}}
    spec:
      terminationGracePeriodSeconds: 1
      securityContext: {runAsUser: 1001, fsGroup: 1001}
      containers:
      - name: main
        image: busybox:1
        imagePullPolicy: IfNotPresent
        command: [sh, -c, "date >> /data/starts; sleep 3600"]
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec:
      accessModes: [ReadWriteOnce]
      resources: {requests: {storage: 100Mi}}
"""


def test_data_outlives_pods_and_goes_with_the_claim(lab: Lab) -> None:
    lab.kubectl("apply", "-f", "-", stdin=MANIFEST)
    lab.ready("notes-0")
    claim = lab.get("persistentvolumeclaims", "data-notes-0")
    assert (claim["status"]["phase"], claim["spec"]["storageClassName"]) == ("Bound", "local")
    name = claim["spec"]["volumeName"]
    path = Path(lab.kubectl("get", "pv", name, "-o", "jsonpath={.spec.local.path}"))
    first = lab.get("pods", "notes-0")["metadata"]["uid"]
    lab.kubectl("delete", "pod", "notes-0")
    until(lambda: lab.ready("notes-0")["metadata"]["uid"] != first, "the pod is replaced")
    assert len(lab.sh("notes-0", "cat /data/starts").splitlines()) == 2
    assert (path / "starts").is_file()
    lab.kubectl("delete", "statefulset", "notes")
    lab.kubectl("delete", "pvc", "data-notes-0")
    lab.kubectl("wait", "--for=delete", f"pv/{name}", "--timeout=30s")
    assert not path.exists()
