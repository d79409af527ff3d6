"""What pods are promised, one row a promise: environment, files and their modes, users, messages, hosts, commands.

All pods of the table start at once; each runs to its end, and what it printed is compared line by line.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e import lab as kit
from tests.e2e.lab import Lab, Tree, until

pytestmark = pytest.mark.e2e

CONFIG: Tree = {
    **kit.config_map("b-config", **{"data-1": "value-1", "data-2": "value-2"}),
    "binaryData": {"dump.bin": "3q2+7wA="},
}
SECRET = kit.secret("b-secret", **{"data-1": "secret-1", "data-2": "secret-2"})
CONFIG_SOURCE, SECRET_SOURCE = {"configMap": {"name": "b-config"}}, {"secret": {"secretName": "b-secret"}}
MODE = "stat -Lc '%A %u %g' /v/{}; cat /v/{}; echo"
ITEMS = [{"key": "data-2", "path": "path/to/data-2"}]
ITEMS_0400 = [{**ITEMS[0], "mode": 0o400}]
NON_ROOT = {"securityContext": {"runAsUser": 1000}}
FS_GROUP = {"securityContext": {"runAsUser": 1000, "fsGroup": 1001}}
RESOURCES = {"requests": {"cpu": "250m", "memory": "32Mi"}, "limits": {"cpu": "1250m", "memory": "64Mi"}}


def read(*names: str) -> str:
    return "; ".join(MODE.format(name, name) for name in names)


def field(path: str) -> Tree:
    return {"valueFrom": {"fieldRef": {"fieldPath": path}}}


def amount(resource: str, divisor: str = "") -> Tree:
    found: Tree = {"resource": resource}
    return {"valueFrom": {"resourceFieldRef": {**found, "divisor": divisor} if divisor else found}}


def with_volume(source: Tree, script: str, mount: Tree | None = None, spec: Tree | None = None, **more: Any) -> Tree:
    mounted = {"name": "v", "mountPath": "/v", **(mount or {})}
    main = kit.container(script, volumeMounts=[mounted], **more)
    return {"containers": [main], "volumes": [{"name": "v", **source}], **(spec or {})}


def plain(script: str, spec: Tree | None = None, **more: Any) -> Tree:
    return {"containers": [kit.container(script, **more)], **(spec or {})}


def env(script: str, **variables: Any) -> Tree:
    listed = [{"name": k, **({"value": v} if isinstance(v, str) else v)} for k, v in variables.items()]
    return plain(script, env=listed, resources=RESOURCES)


def _files(kind: str, source: Tree, text: str) -> dict[str, tuple[Tree, list[str]]]:
    """ConfigMaps and Secrets keep the same promises."""
    (key, value), *_ = source.items()

    def of(**more: Any) -> Tree:
        return {key: {**value, **more}}

    return {
        f"{kind}-default": (with_volume(of(), read("data-1")), ["-rw-r--r-- 0 0", f"{text}-1"]),
        f"{kind}-mode": (with_volume(of(defaultMode=0o400), read("data-1")), ["-r-------- 0 0", f"{text}-1"]),
        f"{kind}-items": (with_volume(of(items=ITEMS), read("path/to/data-2")), ["-rw-r--r-- 0 0", f"{text}-2"]),
        f"{kind}-item-mode": (
            with_volume(of(items=ITEMS_0400), read("path/to/data-2")),
            ["-r-------- 0 0", f"{text}-2"],
        ),
        f"{kind}-non-root": (
            with_volume(of(), read("data-1"), spec=NON_ROOT),
            ["-rw-r--r-- 0 0", f"{text}-1"],
        ),
        f"{kind}-fs-group": (
            with_volume(of(defaultMode=0o440), read("data-1"), spec=FS_GROUP),
            ["-r--r----- 0 1001", f"{text}-1"],
        ),
        f"{kind}-sub-path": (
            with_volume(of(), "cat /v/file; echo", {"mountPath": "/v/file", "subPath": "data-1"}),
            [f"{text}-1"],
        ),
        f"{kind}-over-a-file": (
            with_volume(of(), "cat /etc/group; echo", {"mountPath": "/etc/group", "subPath": "data-2"}),
            [f"{text}-2"],
        ),
        f"{kind}-projected": (
            with_volume({"projected": {"sources": [_projected(key)]}}, read("data-1")),
            ["-rw-r--r-- 0 0", f"{text}-1"],
        ),
        f"{kind}-projected-fs-group": (
            with_volume(
                {"projected": {"defaultMode": 0o440, "sources": [_projected(key)]}}, read("data-1"), spec=FS_GROUP
            ),
            ["-r--r----- 0 1001", f"{text}-1"],
        ),
        f"{kind}-projected-item-mode": (
            with_volume({"projected": {"sources": [_projected(key, items=ITEMS_0400)]}}, read("path/to/data-2")),
            ["-r-------- 0 0", f"{text}-2"],
        ),
        f"{kind}-optional": (
            with_volume({key: {**value, **_absent(key), "optional": True}}, "ls /v | wc -l"),
            ["0"],
        ),
    }


def _projected(key: str, **more: Any) -> Tree:
    return {key: {"name": "b-config", **more}} if key == "configMap" else {"secret": {"name": "b-secret", **more}}


def _absent(key: str) -> Tree:
    return {"name": "absent"} if key == "configMap" else {"secretName": "absent"}


def _empty_dir(medium: str, user: int, mode: str, shown: str) -> tuple[Tree, list[str]]:
    script = f"stat -c '%a' /v; echo text > /v/f; chmod {mode} /v/f; stat -c '%A' /v/f; stat -fc '%T' /v; cat /v/f"
    source: Tree = {"emptyDir": {"medium": medium} if medium else {}}
    if not medium:
        script = script.replace("stat -fc '%T' /v; ", "")
    return (
        with_volume(source, script, spec={"securityContext": {"runAsUser": user}} if user else None),
        [*(["1777", shown, "tmpfs"] if medium else ["777", shown]), "text"],
    )


DOWNWARD: list[Tree] = [
    {"path": "podname", "fieldRef": {"fieldPath": "metadata.name"}},
    {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
    {"path": "note", "fieldRef": {"fieldPath": "metadata.annotations['note']"}},
    {"path": "cpu", "resourceFieldRef": {"containerName": "main", "resource": "limits.cpu", "divisor": "1m"}},
    {"path": "cpus", "resourceFieldRef": {"containerName": "main", "resource": "limits.cpu"}},
    {"path": "mem", "resourceFieldRef": {"containerName": "main", "resource": "requests.memory"}},
    {"path": "mib", "resourceFieldRef": {"containerName": "main", "resource": "limits.memory", "divisor": "1Mi"}},
]
DOWNWARD_SCRIPT = "cd /v; for f in podname labels note cpu cpus mem mib; do cat $f; echo; done; stat -Lc %A cpu"
DOWNWARD_LINES = ['app="{name}"', "noted", "1250", "2", "33554432", "64"]

PODS: dict[str, tuple[Tree, list[str]]] = {
    **_files("config", CONFIG_SOURCE, "value"),
    **_files("secret", SECRET_SOURCE, "secret"),
    "config-binary": (with_volume(CONFIG_SOURCE, "od -An -tx1 /v/dump.bin"), [" de ad be ef 00"]),
    "secret-0400-fs-group": (
        with_volume({"secret": {"secretName": "b-secret", "defaultMode": 0o400}}, read("data-1"), spec=FS_GROUP),
        ["-r--r----- 0 1001", "secret-1"],
    ),
    "two-volumes-of-one": (
        {
            "containers": [
                kit.container(
                    "cat /a/data-1 /b/data-1; echo",
                    volumeMounts=[{"name": "a", "mountPath": "/a"}, {"name": "b", "mountPath": "/b"}],
                )
            ],
            "volumes": [{"name": "a", **SECRET_SOURCE}, {"name": "b", **SECRET_SOURCE}],
        },
        ["secret-1secret-1"],
    ),
    "projected-all": (
        with_volume(
            {
                "projected": {
                    "sources": [
                        _projected("configMap", items=[{"key": "data-1", "path": "c"}]),
                        _projected("secret", items=[{"key": "data-1", "path": "s"}]),
                        {"downwardAPI": {"items": DOWNWARD[:1]}},
                        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
                    ]
                }
            },
            "cat /v/c /v/s /v/podname; echo; tr . '\\n' < /v/token | wc -l",
        ),
        ["value-1secret-1b-projected-all", "2"],
    ),
    "token-run-as": (
        with_volume(
            {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
            "stat -Lc '%a %u %g' /v/token",
            spec=NON_ROOT,
        ),
        ["600 1000 0"],
    ),
    "token-fs-group": (
        with_volume(
            {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
            "stat -Lc '%a %g' /v/token",
            spec=FS_GROUP,
        ),
        ["640 1001"],
    ),
    "token": (
        plain("cd /var/run/secrets/kubernetes.io/serviceaccount; ls; cat namespace; echo; stat -Lc %a token"),
        ["ca.crt", "namespace", "token", "default", "644"],
    ),
    "no-token": (
        plain("ls /var/run/secrets 2>/dev/null | wc -l", {"automountServiceAccountToken": False}),
        ["0"],
    ),
    "downward": (
        with_volume({"downwardAPI": {"items": DOWNWARD}}, DOWNWARD_SCRIPT, resources=RESOURCES),
        ["b-downward", *DOWNWARD_LINES, "-rw-r--r--"],
    ),
    "downward-projected": (
        with_volume(
            {"projected": {"defaultMode": 0o400, "sources": [{"downwardAPI": {"items": DOWNWARD}}]}},
            DOWNWARD_SCRIPT,
            resources=RESOURCES,
        ),
        ["b-downward-projected", *DOWNWARD_LINES, "-r--------"],
    ),
    "downward-sub-path": (
        with_volume(
            {"downwardAPI": {"items": DOWNWARD[:1]}}, "cat /n; echo", {"mountPath": "/n", "subPath": "podname"}
        ),
        ["b-downward-sub-path"],
    ),
    "empty-dir": _empty_dir("", 0, "644", "-rw-r--r--"),
    "empty-dir-user": _empty_dir("", 1000, "666", "-rw-rw-rw-"),
    "tmpfs": _empty_dir("Memory", 0, "777", "-rwxrwxrwx"),
    "tmpfs-user": _empty_dir("Memory", 1000, "644", "-rw-r--r--"),
    "sub-path-expr": (
        {
            "containers": [
                kit.container(
                    "touch /here/f; ls /all/dir/$POD",
                    env=[{"name": "POD", **field("metadata.name")}],
                    volumeMounts=[
                        {"name": "v", "mountPath": "/here", "subPathExpr": "dir/$(POD)"},
                        {"name": "v", "mountPath": "/all"},
                    ],
                )
            ],
            "volumes": [{"name": "v", "emptyDir": {}}],
        },
        ["f"],
    ),
    "env-sources": (
        plain(
            'echo "$A $B $C"; tr "\\0" "\\n" < /proc/1/environ | sort | grep -E "^(p_|data)"',
            env=[
                {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "b-config", "key": "data-1"}}},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "b-secret", "key": "data-1"}}},
                {"name": "C", "valueFrom": {"secretKeyRef": {"name": "none", "key": "k", "optional": True}}},
            ],
            envFrom=[
                {"configMapRef": {"name": "b-config"}},
                {"prefix": "p_", "secretRef": {"name": "b-secret"}},
                {"configMapRef": {"name": "none", "optional": True}},
            ],
        ),
        ["value-1 secret-1 ", "data-1=value-1", "data-2=value-2", "p_data-1=secret-1", "p_data-2=secret-2"],
    ),
    "env-downward": (
        env(
            'echo "$NAME $NS $LABEL $CPU_LIMIT $CPU_REQUEST $MEM_LIMIT $MEM_REQUEST $SA"; '
            '[ -n "$UID_" ] && [ -n "$NODE" ] && echo $IP | grep -c "\\." && echo $HOST $HOSTS | wc -w',
            NAME=field("metadata.name"),
            NS=field("metadata.namespace"),
            LABEL=field("metadata.labels['app']"),
            UID_=field("metadata.uid"),
            IP=field("status.podIP"),
            HOST=field("status.hostIP"),
            HOSTS=field("status.hostIPs"),
            NODE=field("spec.nodeName"),
            SA=field("spec.serviceAccountName"),
            CPU_LIMIT=amount("limits.cpu"),
            CPU_REQUEST=amount("requests.cpu", "1m"),
            MEM_LIMIT=amount("limits.memory"),
            MEM_REQUEST=amount("requests.memory", "1Mi"),
        ),
        ["b-env-downward default b-env-downward 2 250 67108864 32 default", "1", "2"],
    ),
    "env-expansion": (
        env("echo \"$BOTH\" '$(A)' $(B) '$$(A)'", A="a", B="b", BOTH="$(A);;$(B) $$(A) $(NONE) $(LATER)", LATER="l"),
        ["a;;b $(A) $(NONE) $(LATER) a b $(A)"],
    ),
    "env-services": (
        plain('[ -n "$KUBERNETES_SERVICE_HOST" ] && echo $KUBERNETES_SERVICE_PORT ${KUBERNETES_PORT_443_TCP_PROTO}'),
        ["443 tcp"],
    ),
    "no-service-links": (
        plain("env | grep -c ^B_WEB; env | grep -c ^KUBERNETES_SERVICE_PORT=", {"enableServiceLinks": False}),
        ["0", "1"],
    ),
    "args-over-image": (
        {"containers": [{"name": "main", "image": kit.BUSYBOX, "args": ["echo", "from", "args"]}]},
        ["from args"],
    ),
    "command-and-args": (
        {"containers": [{"name": "main", "image": kit.BUSYBOX, "command": ["echo", "a"], "args": ["b  c"]}]},
        ["a b  c"],
    ),
    "users": (plain("id -u; id -g", {"securityContext": {"runAsUser": 1001, "runAsGroup": 2002}}), ["1001", "2002"]),
    "container-user": (
        plain(
            "id -u; id -g; id -G",
            {"securityContext": {"runAsUser": 1001, "runAsGroup": 2002, "supplementalGroups": [3003]}},
            securityContext={"runAsUser": 65534},
        ),
        ["65534", "2002", "2002 3003"],
    ),
    "unprivileged": (
        plain("ip link add dummy0 type dummy 2>&1 | grep -c -i 'not permitted'", securityContext={"privileged": False}),
        ["1"],
    ),
    "no-new-privileges": (
        plain(
            "grep NoNewPrivs /proc/self/status",
            securityContext={"allowPrivilegeEscalation": False, "runAsUser": 1000},
        ),
        ["NoNewPrivs:\t1"],
    ),
    "read-only-root": (
        plain("touch /file 2>&1 | grep -c Read-only", securityContext={"readOnlyRootFilesystem": True}),
        ["1"],
    ),
    "writable-root": (
        plain("touch /file && echo yes", securityContext={"readOnlyRootFilesystem": False}),
        ["yes"],
    ),
    "sysctl": (
        plain(
            "cat /proc/sys/kernel/shm_rmid_forced",
            {"securityContext": {"sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]}},
        ),
        ["1"],
    ),
    "host-aliases": (
        plain(
            "head -1 /etc/hosts; grep -v '^#' /etc/hosts | grep foo",
            {"hostAliases": [{"ip": "123.45.67.89", "hostnames": ["foo", "bar"]}]},
        ),
        ["# Kubernetes-managed hosts file.", "123.45.67.89\tfoo\tbar"],
    ),
    "host-network-hosts": (
        plain(
            "head -1 /etc/hosts",
            {"hostNetwork": True, "hostAliases": [{"ip": "123.45.67.89", "hostnames": ["foo"]}]},
        ),
        ["# Kubernetes-managed hosts file (host network)."],
    ),
    "hostname": (
        plain("hostname; hostname -f; grep -c b-sub /etc/hosts", {"hostname": "me", "subdomain": "b-sub"}),
        ["me", "me.b-sub.default.svc.cluster.local", "1"],
    ),
    "fqdn-hostname": (
        plain("hostname", {"hostname": "me", "subdomain": "b-sub", "setHostnameAsFQDN": True}),
        ["me.b-sub.default.svc.cluster.local"],
    ),
    "dns-config": (
        plain(
            "cat /etc/resolv.conf",
            {
                "dnsPolicy": "None",
                "dnsConfig": {
                    "nameservers": ["1.1.1.1"],
                    "searches": ["resolv.conf.local"],
                    "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
                },
            },
        ),
        ["search resolv.conf.local", "nameserver 1.1.1.1", "options ndots:2 edns0"],
    ),
}


def test_pods_keep_their_promises(lab: Lab) -> None:
    lab.apply(CONFIG, SECRET, kit.service("b-web", selector={"app": "none"}))
    made = []
    for name, (spec, _) in PODS.items():
        pod = kit.pod(f"b-{name}", restartPolicy="Never", **spec)
        pod["metadata"]["annotations"] = {"note": "noted"}
        made.append(pod)
    lab.apply(*made)
    wrong = {}
    for name, (_, expected) in PODS.items():
        full = f"b-{name}"

        def over(full: str = full) -> Tree | None:
            pod = lab.get("pods", full)
            return pod if pod["status"].get("phase") in ("Succeeded", "Failed") else None

        try:
            until(over, f"{full} is over")
        except AssertionError as error:
            wrong[name] = str(error)[-900:]
            continue
        seen = lab.kubectl("logs", full, ok=False).splitlines()
        wanted = [line.format(name=full) if "{name}" in line else line for line in expected]
        if seen != wanted:
            wrong[name] = f"saw {seen}, wanted {wanted}"
    assert not wrong, "\n".join(f"{k}: {v}" for k, v in wrong.items())


MESSAGES: dict[str, tuple[str, Tree, str]] = {
    "log-of-success": ("echo DONE", {"terminationMessagePolicy": "FallbackToLogsOnError"}, ""),
    "file-of-success": (
        "echo -n OK > /dev/termination-log; echo DONE",
        {"terminationMessagePolicy": "FallbackToLogsOnError"},
        "OK",
    ),
    "log-of-failure": ("echo -n DONE; exit 1", {"terminationMessagePolicy": "FallbackToLogsOnError"}, "DONE"),
    "own-path-as-user": (
        "echo -n DONE > /dev/own-log",
        {"terminationMessagePath": "/dev/own-log", "securityContext": {"runAsUser": 1000}},
        "DONE",
    ),
    "file-of-failure": ("echo -n BAD > /dev/termination-log; echo DONE; exit 3", {}, "BAD"),
}


def test_termination_messages(lab: Lab) -> None:
    lab.apply(
        *(kit.pod(f"m-{n}", kit.container(s, **more), restartPolicy="Never") for n, (s, more, _) in MESSAGES.items())
    )
    seen = {}
    for name in MESSAGES:
        state = until(
            lambda name=name: kit.container_status(lab.get("pods", f"m-{name}")).get("state", {}).get("terminated"),
            f"m-{name} ended",
        )
        seen[name] = state.get("message", "")
    assert seen == {name: text for name, (_, _, text) in MESSAGES.items()}
