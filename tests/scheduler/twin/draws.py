"""Random clusters and pods: small, and of few distinct values, so that everything meets everything."""

from __future__ import annotations

from random import Random
from typing import Any

from .world import World

Tree = dict[str, Any]
HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
BETA = "failure-domain.beta.kubernetes.io/zone"
KEYS = (HOST, ZONE, "rack")
NAMESPACES = ("default", "other", "third")
IMAGES = {"app:1": 40, "app:2": 300, "big:latest": 2000, "tool:latest": 700}
DRIVERS = ("csi.a", "csi.b")


def maybe(r: Random, chance: float) -> bool:
    return r.random() < chance


def some(r: Random, values: tuple[Any, ...], least: int = 0, most: int = 2) -> list[Any]:
    return r.sample(values, r.randint(least, min(most, len(values))))


def taint(r: Random) -> Tree:
    effect = r.choice(("NoSchedule", "PreferNoSchedule", "PreferNoSchedule", "NoExecute"))
    return {"key": r.choice(("k", "l")), "value": r.choice(("", "v", "w")), "effect": effect}


def toleration(r: Random) -> Tree:
    if maybe(r, 0.2):
        return {"operator": "Exists"}
    out = {"key": r.choice(("k", "l", "node.kubernetes.io/unschedulable")), "operator": r.choice(("Exists", "Equal"))}
    if out["operator"] == "Equal":
        out["value"] = r.choice(("", "v", "w"))
    if maybe(r, 0.5):
        out["effect"] = r.choice(("NoSchedule", "PreferNoSchedule", "NoExecute"))
    return out


def node(r: Random, i: int) -> Tree:
    labels = {}
    if maybe(r, 0.95):
        labels[HOST] = f"n{i}"
    if maybe(r, 0.85):
        labels[ZONE] = r.choice(("a", "b", "c"))
    elif maybe(r, 0.3):
        labels[BETA] = r.choice(("a", "b"))
    if maybe(r, 0.6):
        labels["rack"] = r.choice(("1", "2", "33"))
    if maybe(r, 0.5):
        labels["disk"] = r.choice(("ssd", "hdd"))
    if maybe(r, 0.4):
        labels["size"] = r.choice(("1", "5", "10", "big"))
    amounts = {"cpu": r.choice(("1", "2", "4000m")), "memory": r.choice(("1Gi", "2Gi", "4000M"))}
    amounts |= {"pods": r.choice(("3", "6", "110")), "ephemeral-storage": r.choice(("2Gi", "10Gi"))}
    if maybe(r, 0.3):
        amounts["example.com/gpu"] = str(r.randint(0, 3))
    if maybe(r, 0.2):
        amounts["hugepages-2Mi"] = "64Mi"
    if maybe(r, 0.03):
        del amounts["memory"]
    spec: Tree = {}
    if maybe(r, 0.3):
        spec["taints"] = [taint(r) for _ in range(r.randint(1, 2))]
    if maybe(r, 0.08):
        spec["unschedulable"] = True
    images = [{"names": [n], "sizeBytes": size * 1024 * 1024} for n, size in IMAGES.items() if maybe(r, 0.3)]
    return {
        "metadata": {"name": f"n{i}", "labels": labels},
        "spec": spec,
        "status": {"allocatable": amounts, "images": images},
    }


def amounts(r: Random, more: bool = True) -> Tree:
    out = {}
    if maybe(r, 0.7):
        out["cpu"] = r.choice(("50m", "100m", "333m", "0.5", "1", "1500m"))
    if maybe(r, 0.7):
        out["memory"] = r.choice(("32Mi", "100M", "256Mi", "1Gi"))
    if more and maybe(r, 0.15):
        out["ephemeral-storage"] = r.choice(("100Mi", "1Gi", "3Gi"))
    if more and maybe(r, 0.1):
        out["example.com/gpu"] = str(r.randint(0, 2))
    if more and maybe(r, 0.05):
        out["hugepages-2Mi"] = "32Mi"
    return out


def container(r: Random, name: str) -> Tree:
    out: Tree = {"name": name, "image": r.choice(("app:1", "app:2", "big", "tool", "x/none"))}
    out["resources"] = {"requests": amounts(r)}
    if maybe(r, 0.12):
        port = {"containerPort": 80, "hostPort": r.choice((80, 81)), "protocol": r.choice(("TCP", "UDP"))}
        if maybe(r, 0.5):
            port["hostIP"] = r.choice(("10.0.0.1", "10.0.0.2", "0.0.0.0"))
        out["ports"] = [port]
    return out


def label_expression(r: Random, key: str = "app", values: tuple[str, ...] = ("a", "b", "c")) -> Tree:
    operator = r.choice(("In", "NotIn", "Exists", "DoesNotExist", "In"))
    out: Tree = {"key": key, "operator": operator}
    if operator in ("In", "NotIn"):
        out["values"] = some(r, values, 1)
    return out


def label_selector(r: Random) -> Tree | None:
    if maybe(r, 0.04):
        return None
    if maybe(r, 0.06):
        return {}
    if maybe(r, 0.7):
        return {"matchLabels": {"app": r.choice("abc")}}
    return {"matchExpressions": [label_expression(r) for _ in range(r.randint(1, 2))]}


def node_requirement(r: Random) -> Tree:
    if maybe(r, 0.2):
        return {"key": "size", "operator": r.choice(("Gt", "Lt")), "values": [r.choice(("2", "5", "7"))]}
    key, values = r.choice((("disk", ("ssd", "hdd")), (ZONE, ("a", "b", "c")), ("rack", ("1", "2", "33"))))
    return label_expression(r, key, values)


def node_term(r: Random, size: int) -> Tree:
    out: Tree = {}
    if maybe(r, 0.8):
        out["matchExpressions"] = [node_requirement(r) for _ in range(r.randint(1, 2))]
    if maybe(r, 0.2):
        names = [f"n{i}" for i in some(r, tuple(range(size + 1)), 1, 3)]
        operator = "NotIn" if maybe(r, 0.3) else "In"
        fields = [{"key": "metadata.name", "operator": operator, "values": names[:1]}]
        out["matchFields"] = fields
    return out


def pod_term(r: Random, own: Tree) -> Tree:
    selector = label_selector(r)
    out: Tree = {"topologyKey": r.choice(KEYS)}
    if selector is not None:
        out["labelSelector"] = selector
        if maybe(r, 0.15) and "version" in own:  # as the server merges it
            more = [{"key": "version", "operator": "In", "values": [own["version"]]}]
            out["labelSelector"] = {**selector, "matchExpressions": [*selector.get("matchExpressions", []), *more]}
            out["matchLabelKeys"] = ["version"]
        elif maybe(r, 0.1) and "version" in own:
            more = [{"key": "version", "operator": "NotIn", "values": [own["version"]]}]
            out["labelSelector"] = {**selector, "matchExpressions": [*selector.get("matchExpressions", []), *more]}
            out["mismatchLabelKeys"] = ["version"]
    if maybe(r, 0.25):
        out["namespaces"] = some(r, NAMESPACES, 1)
    if maybe(r, 0.25):
        out["namespaceSelector"] = r.choice(({}, {"matchLabels": {"team": "x"}}, {"matchLabels": {"team": "y"}}))
    return out


def affinity(r: Random, size: int, own: Tree) -> Tree:
    required, preferred = (f"{how}DuringSchedulingIgnoredDuringExecution" for how in ("required", "preferred"))
    out: Tree = {}
    if maybe(r, 0.3):
        near: Tree = {}
        if maybe(r, 0.5):
            near[required] = {"nodeSelectorTerms": [node_term(r, size) for _ in range(r.randint(1, 2))]}
        if maybe(r, 0.6):
            terms = [{"weight": r.randint(1, 100), "preference": node_term(r, size)} for _ in range(r.randint(1, 3))]
            near[preferred] = terms
        out["nodeAffinity"] = near
    for kind in ("podAffinity", "podAntiAffinity"):
        if not maybe(r, 0.22):
            continue
        one: Tree = {}
        if maybe(r, 0.5):
            one[required] = [pod_term(r, own) for _ in range(r.randint(1, 2))]
        if maybe(r, 0.6):
            one[preferred] = [
                {"weight": r.randint(1, 100), "podAffinityTerm": pod_term(r, own)} for _ in range(r.randint(1, 2))
            ]
        out[kind] = one
    return out


def constraint(r: Random) -> Tree:
    out: Tree = {
        "maxSkew": r.randint(1, 3),
        "topologyKey": r.choice(KEYS),
        "whenUnsatisfiable": r.choice(("DoNotSchedule", "ScheduleAnyway")),
    }
    selector = label_selector(r)
    if selector is not None:
        out["labelSelector"] = selector
        if maybe(r, 0.2):
            out["matchLabelKeys"] = ["version"]
    if out["whenUnsatisfiable"] == "DoNotSchedule" and maybe(r, 0.3):
        out["minDomains"] = r.randint(1, 4)
    for policy in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
        if maybe(r, 0.4):
            out[policy] = r.choice(("Honor", "Ignore"))
    return out


def disk(r: Random) -> Tree:
    read_only = maybe(r, 0.4)
    number = r.choice("12")
    return r.choice(
        (
            {"gcePersistentDisk": {"pdName": number, "readOnly": read_only}},
            {"awsElasticBlockStore": {"volumeID": number, "readOnly": read_only}},
            {"iscsi": {"targetPortal": "p", "iqn": number, "lun": 1, "readOnly": read_only}},
            {"rbd": {"monitors": ["m", number], "image": number, "pool": "rbd", "readOnly": read_only}},
        )
    )


def pod(r: Random, name: str, world: World, *, volumes: float = 0.2) -> Tree:
    size = len(world.nodes)
    labels = {"app": r.choice("abc")} if maybe(r, 0.9) else {}
    if maybe(r, 0.4):
        labels["version"] = r.choice("12")
    meta: Tree = {"name": name, "namespace": r.choice(NAMESPACES), "uid": f"uid-{name}", "labels": labels}
    spec: Tree = {"containers": [container(r, f"c{i}") for i in range(r.randint(1, 2))]}
    if maybe(r, 0.25):
        inits = [container(r, f"i{i}") for i in range(r.randint(1, 2))]
        for one in inits:
            if maybe(r, 0.4):
                one["restartPolicy"] = "Always"
        spec["initContainers"] = inits
    if maybe(r, 0.05):
        spec["overhead"] = {"cpu": "50m", "memory": "10Mi"}
    if maybe(r, 0.08):
        spec["resources"] = {"requests": amounts(r, more=False)}
    if maybe(r, 0.35):
        spec["tolerations"] = [toleration(r) for _ in range(r.randint(1, 2))]
    if maybe(r, 0.15):
        spec["nodeSelector"] = {"disk": r.choice(("ssd", "hdd"))}
    if found := affinity(r, size, labels):
        spec["affinity"] = found
    if maybe(r, 0.3):
        several = {(c["topologyKey"], c["whenUnsatisfiable"]): c for c in (constraint(r) for _ in range(2))}
        spec["topologySpreadConstraints"] = list(several.values())
    if maybe(r, 0.3) and world.replicasets:
        owner = r.choice(world.replicasets)["metadata"]
        ref = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner["name"], "uid": "u", "controller": True}
        meta["ownerReferences"] = [ref]
        meta["namespace"] = owner["namespace"]
    wanted: list[Tree] = []
    own_claims = [n for ns, n in world.claims if ns == meta["namespace"]]
    if maybe(r, volumes) and own_claims:
        for claim in some(r, tuple(own_claims), 1, 2):
            wanted.append({"name": f"v{len(wanted)}", "persistentVolumeClaim": {"claimName": claim}})
    if maybe(r, 0.06):
        wanted.append({"name": f"v{len(wanted)}", **disk(r)})
    if maybe(r, 0.003):
        wanted.append({"name": "gone", "persistentVolumeClaim": {"claimName": "gone"}})
    if wanted:
        spec["volumes"] = wanted
    spec["priority"] = r.choice((0, 0, 5, 10))
    return {"metadata": meta, "spec": spec, "status": {}}


def running(r: Random, name: str, world: World) -> Tree:
    out = pod(r, name, world)
    out["spec"]["nodeName"] = f"n{r.randrange(len(world.nodes))}"
    status = out["status"]
    if maybe(r, 0.8):
        status["startTime"] = f"2026-01-01T00:{r.randint(0, 9):02d}:00Z"
    if maybe(r, 0.08):
        out["metadata"]["deletionTimestamp"] = "2026-01-01T00:30:00Z"
    if maybe(r, 0.06):
        status["containerStatuses"] = [
            {
                "name": "c0",
                "image": "i",
                "imageID": "",
                "ready": True,
                "restartCount": 0,
                "resources": {"requests": {"cpu": r.choice(("20m", "800m"))}},
                "allocatedResources": {"cpu": r.choice(("20m", "700m"))},
            }
        ]
    return out


def _storage(r: Random, world: World) -> None:
    size = len(world.nodes)
    for name, mode, provisioner in (
        ("now", "Immediate", "csi.a"),
        ("local", "WaitForFirstConsumer", "kubernetes.io/no-provisioner"),
        ("made", "WaitForFirstConsumer", "csi.a"),
        ("zonal", "WaitForFirstConsumer", "csi.b"),
    ):
        of: Tree = {"metadata": {"name": name}, "provisioner": provisioner, "volumeBindingMode": mode}
        if name == "zonal":
            of["allowedTopologies"] = [{"matchLabelExpressions": [{"key": ZONE, "values": some(r, ("a", "b"), 1)}]}]
        world.classes[name] = of
    for i in range(r.randint(0, 8)):
        labels = {}
        if maybe(r, 0.3):
            labels[r.choice((ZONE, BETA))] = r.choice(("a", "b", "a__b"))
        if maybe(r, 0.3):
            labels["tier"] = r.choice("xy")
        spec: Tree = {
            "capacity": {"storage": r.choice(("1Gi", "2Gi", "5Gi"))},
            "accessModes": r.choice((["ReadWriteOnce"], ["ReadWriteOnce", "ReadOnlyMany"], ["ReadWriteOncePod"])),
            "storageClassName": r.choice(("local", "local", "made", "now")),
        }
        if maybe(r, 0.8):
            spec["csi"] = {"driver": r.choice(DRIVERS), "volumeHandle": f"h{i}"}
        if maybe(r, 0.5):
            names = [f"n{k}" for k in some(r, tuple(range(size)), 1, 4)]
            terms = [{"matchExpressions": [{"key": HOST, "operator": "In", "values": names}]}]
            spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": terms}}
        if maybe(r, 0.1):
            spec["volumeMode"] = "Block"
        volume = {"metadata": {"name": f"pv{i}", "uid": f"pv{i}", "labels": labels}, "spec": spec}
        world.volumes[f"pv{i}"] = {**volume, "status": {"phase": "Available"}}
    free = list(world.volumes)
    r.shuffle(free)
    for i in range(r.randint(0, 10)):
        namespace = r.choice(NAMESPACES)
        own: Tree = {
            "accessModes": [r.choice(("ReadWriteOnce", "ReadWriteOnce", "ReadWriteOncePod"))],
            "resources": {"requests": {"storage": r.choice(("1Gi", "2Gi", "3Gi"))}},
            "storageClassName": r.choice(("local", "local", "made", "zonal", "now")),
        }
        meta: Tree = {"name": f"c{i}", "namespace": namespace, "uid": f"c{i}"}
        phase = "Pending"
        if maybe(r, 0.5) and free:
            own["volumeName"] = free.pop()
            meta["annotations"] = {"pv.kubernetes.io/bind-completed": "yes"}
            bound = world.volumes[own["volumeName"]]
            bound["spec"]["claimRef"] = {"namespace": namespace, "name": f"c{i}", "uid": f"c{i}"}
            bound["status"]["phase"] = phase = "Bound"
            if maybe(r, 0.03):
                del world.volumes[own["volumeName"]]
        elif maybe(r, 0.1):
            meta["annotations"] = {"volume.kubernetes.io/selected-node": f"n{r.randrange(size)}"}
        elif maybe(r, 0.1):
            own["selector"] = {"matchLabels": {"tier": r.choice("xy")}}
        elif maybe(r, 0.1) and free:  # promised beforehand
            bound = world.volumes[free.pop()]
            bound["spec"]["claimRef"] = {"namespace": namespace, "name": f"c{i}"}
        if maybe(r, 0.02):
            phase = "Lost"
        world.claims[namespace, f"c{i}"] = {"metadata": meta, "spec": own, "status": {"phase": phase}}
    world.counting_drivers = {d for d in DRIVERS if maybe(r, 0.3)}
    for i in range(r.randint(0, 4)):
        capacity: Tree = {"metadata": {"name": f"cap{i}"}, "storageClassName": r.choice(("made", "zonal"))}
        if maybe(r, 0.8):
            capacity["capacity"] = r.choice(("1Gi", "2Gi", "10Gi"))
        if maybe(r, 0.3):
            capacity["maximumVolumeSize"] = r.choice(("1Gi", "2Gi"))
        if maybe(r, 0.9):
            capacity["nodeTopology"] = r.choice(({}, {"matchLabels": {ZONE: r.choice("abc")}}))
        world.capacities.append(capacity)
    for i in range(size):
        if maybe(r, 0.5):
            drivers = [
                {"name": d, "nodeID": "x", "allocatable": {"count": r.randint(0, 3)}} for d in DRIVERS if maybe(r, 0.7)
            ]
            world.csi_nodes[f"n{i}"] = {"metadata": {"name": f"n{i}"}, "spec": {"drivers": drivers}}
        if maybe(r, 0.15) and world.volumes:
            source = {"persistentVolumeName": r.choice(list(world.volumes))}
            spec = {"attacher": "csi.a", "nodeName": f"n{i}", "source": source}
            world.attachments.append({"metadata": {"name": f"va{i}"}, "spec": spec})


def world(r: Random, *, nodes: int = 9, pods: int = 22) -> World:
    out = World()
    out.namespaces = {"default": {"team": "x"}, "other": {"team": "y"}, "third": {}}
    out.nodes = [node(r, i) for i in range(r.randint(1, nodes))]
    for i in range(r.randint(0, 2)):
        meta = {"name": f"s{i}", "namespace": r.choice(NAMESPACES)}
        out.services.append({"metadata": meta, "spec": {"selector": {"app": r.choice("abc")}}})
    for i in range(r.randint(0, 3)):
        meta = {"name": f"r{i}", "namespace": r.choice(NAMESPACES)}
        selector: Tree = {"matchLabels": {"app": r.choice("abc")}}
        if maybe(r, 0.3):
            selector = {"matchExpressions": [label_expression(r)]}
        out.replicasets.append({"metadata": meta, "spec": {"selector": selector}})
    if maybe(r, 0.5):
        _storage(r, out)
    out.pods = [running(r, f"r{i}", out) for i in range(r.randint(0, pods))]
    for i in range(r.randint(0, 3)):
        meta = {"name": f"b{i}", "namespace": r.choice(NAMESPACES)}
        selector = r.choice(({}, {"matchLabels": {"app": r.choice("abc")}}, {"matchLabels": {"app": "a"}}))
        status: Tree = {
            "disruptionsAllowed": r.randint(0, 2),
            "currentHealthy": 0,
            "desiredHealthy": 0,
            "expectedPods": 0,
        }
        if maybe(r, 0.3) and out.pods:
            status["disruptedPods"] = {r.choice(out.pods)["metadata"]["name"]: "2026-01-01T00:00:00Z"}
        out.budgets.append({"metadata": meta, "spec": {"selector": selector}, "status": status})
    return out
