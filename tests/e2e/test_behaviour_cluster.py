"""What services, accounts, quotas, limits, taints and changing volumes are promised, as upstream's tests look at it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.e2e import lab as kit
from tests.e2e.lab import Lab, Missing, Refused, Tree, path, until

pytestmark = pytest.mark.e2e
MERGE = "application/merge-patch+json"
CLIENT = "client"


def create(lab: Lab, resource: str, body: Tree, namespace: str = "default", query: str = "") -> Tree:
    return lab.call("POST", path(resource, "", namespace) + query, body)


def delete(lab: Lab, resource: str, name: str, namespace: str = "default", **options: Any) -> Tree:
    return lab.call("DELETE", path(resource, name, namespace), options or None)


def refused(call: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value


def new_namespace(lab: Lab, name: str) -> str:
    lab.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    until(lambda: lab.get("serviceaccounts", "default", name), f"namespace {name} has its account")
    return name


def client(lab: Lab) -> str:
    try:
        lab.get("pods", CLIENT)
    except Missing:
        lab.apply(kit.pod(CLIENT, kit.container(), kit.container(name="curl", image=kit.NGINX)))
    lab.ready(CLIENT)
    return CLIENT


def answers(lab: Lab, url: str) -> str:
    return lab.sh(client(lab), f"curl -s -m 2 http://{url} || true", container="curl").strip()


def resolved(lab: Lab, name: str, kind: str = "a") -> str:
    return lab.sh(client(lab), f"nslookup -type={kind} {name} 2>&1 || true", container="main")


# services


def test_service_types_change(lab: Lab) -> None:
    node = lab.call("GET", "/api/v1/nodes")["items"][0]["status"]["addresses"][0]["address"]
    lab.apply(kit.deployment("st-web", 1))
    external = {"type": "ExternalName", "externalName": "foo.example.com"}
    made = create(lab, "services", {"metadata": {"name": "st"}, "spec": external})
    assert "clusterIP" not in made["spec"] or not made["spec"]["clusterIP"]
    until(lambda: "foo.example.com" in resolved(lab, "st.default.svc.cluster.local", "cname"), "the CNAME is served")
    lab.patch("services", "st", {"spec": {"externalName": "bar.example.com"}})
    until(lambda: "bar.example.com" in resolved(lab, "st.default.svc.cluster.local", "cname"), "the new CNAME")
    lab.rolled_out("st-web")
    ports = [{"name": "http", "port": 80, "targetPort": 80, "protocol": "TCP"}]
    plain = {"type": "ClusterIP", "externalName": None, "ports": ports, "selector": {"app": "st-web"}}
    ip = lab.patch("services", "st", {"spec": plain})["spec"]["clusterIP"]
    assert ip.count(".") == 3
    until(lambda: "st-web-" in answers(lab, "st"), "by name")
    assert ip in resolved(lab, "st.default.svc.cluster.local")
    port = lab.patch("services", "st", {"spec": {"type": "NodePort"}})["spec"]["ports"][0]["nodePort"]
    until(lambda: "st-web-" in answers(lab, f"{node}:{port}"), "by the node's port")
    clear = {"type": "ExternalName", "externalName": "kubernetes.default.svc.cluster.local", "clusterIP": ""}
    back = lab.patch("services", "st", {"spec": clear})
    assert not back["spec"].get("clusterIP") and "nodePort" not in back["spec"]["ports"][0]
    until(lambda: "kubernetes.default.svc" in resolved(lab, "st.default.svc.cluster.local", "cname"), "CNAME again")
    again = create(lab, "services", kit.service("st-taken", type="NodePort", ports=[{"port": 80, "nodePort": port}]))
    assert again["spec"]["ports"][0]["nodePort"] == port  # it had been released
    delete(lab, "services", "st-taken")
    delete(lab, "services", "st")
    delete(lab, "apps/v1/deployments", "st-web")


def test_session_affinity_switches(lab: Lab) -> None:
    lab.apply(kit.deployment("af", 3), kit.service("af", sessionAffinity="ClientIP"))
    lab.rolled_out("af")
    several = "for i in $(seq 12); do curl -s -m 2 http://af; done"
    who = lambda: set(lab.sh(client(lab), several, container="curl").split())  # noqa: E731
    until(lambda: len(lab.call("GET", path("endpoints", "af"))["subsets"][0]["addresses"]) == 3, "three endpoints")
    assert lab.get("services", "af")["spec"]["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}
    until(lambda: len(who()) == 1, "one pod answers")
    lab.patch("services", "af", {"spec": {"sessionAffinity": "None", "sessionAffinityConfig": None}})
    until(lambda: len(who()) > 1, "several answer")
    lab.patch("services", "af", {"spec": {"sessionAffinity": "ClientIP"}})
    until(lambda: len(who()) == 1 and len(who()) == 1, "one again")
    delete(lab, "services", "af")
    delete(lab, "apps/v1/deployments", "af")


def test_endpoints_follow_pods_and_ports(lab: Lab) -> None:
    ports = [{"name": "p1", "port": 80, "targetPort": "a"}, {"name": "p2", "port": 81, "targetPort": "b"}]
    create(lab, "services", kit.service("mp", ports=ports))

    def found() -> dict[str, list[int]]:
        out: dict[str, list[int]] = {}
        for subset in lab.get("endpoints", "mp").get("subsets", ()):
            for address in subset.get("addresses", ()):
                name = address["targetRef"]["name"]
                out[name] = sorted(out.get(name, []) + [p["port"] for p in subset.get("ports", ())])
        return out

    def slices() -> list[list[int]]:
        items = lab.call(
            "GET", path("discovery.k8s.io/v1/endpointslices") + "?labelSelector=kubernetes.io/service-name%3Dmp"
        )
        return sorted(sorted(p["port"] for p in i.get("ports") or ()) for i in items["items"] if i.get("endpoints"))

    until(lambda: found() == {}, "no endpoints")
    for name, port in (("a", 100), ("b", 101)):
        body = kit.container(ports=[{"name": name, "containerPort": port}])
        create(lab, "pods", kit.pod(f"mp-{name}", body, labels={"app": "mp"}))
    until(lambda: found() == {"mp-a": [100], "mp-b": [101]}, "each pod has the port it names")
    until(lambda: slices() == [[100], [101]], "one slice for each set of ports")
    delete(lab, "pods", "mp-a")
    until(lambda: found() == {"mp-b": [101]}, "the first is gone")
    delete(lab, "pods", "mp-b")
    until(lambda: found() == {}, "both are gone")
    delete(lab, "services", "mp")
    until(lambda: slices() == [], "the slices are gone")
    lab.gone("endpoints", "mp")


def test_custom_endpoints_are_mirrored(lab: Lab) -> None:
    create(
        lab, "services", {"metadata": {"name": "mi"}, "spec": {"ports": [{"port": 80, "name": "x", "targetPort": 80}]}}
    )
    subset = {"addresses": [{"ip": "10.1.2.3"}], "ports": [{"name": "x", "port": 80}]}
    create(lab, "endpoints", {"metadata": {"name": "mi"}, "subsets": [subset]})

    def mirrored() -> list[str]:
        mirror = "endpointslice.kubernetes.io/managed-by%3Dendpointslicemirroring-controller.k8s.io"
        query = f"?labelSelector=kubernetes.io/service-name%3Dmi,{mirror}"
        items = lab.call("GET", path("discovery.k8s.io/v1/endpointslices") + query)["items"]
        return [a for i in items for e in i["endpoints"] for a in e["addresses"]]

    until(lambda: mirrored() == ["10.1.2.3"], "mirrored")
    lab.patch("endpoints", "mi", {"subsets": [{**subset, "addresses": [{"ip": "10.2.3.4"}]}]})
    until(lambda: mirrored() == ["10.2.3.4"], "updated")
    delete(lab, "endpoints", "mi")
    until(lambda: mirrored() == [], "deleted")
    delete(lab, "services", "mi")


def test_dns_of_headless_pods(lab: Lab) -> None:
    lab.apply(
        kit.service("hl", app="hl", clusterIP="None", ports=[{"name": "http", "port": 80, "targetPort": 80}]),
        kit.pod("hl-1", kit.web(), labels={"app": "hl"}, hostname="dns-querier-2", subdomain="hl"),
    )
    ip = lab.ready("hl-1")["status"]["podIP"]
    full = "dns-querier-2.hl.default.svc.cluster.local"
    until(lambda: ip in resolved(lab, full), "the pod's own name")
    assert ip in resolved(lab, "hl.default.svc.cluster.local")
    assert full in resolved(lab, "_http._tcp.hl.default.svc.cluster.local", "srv")
    reverse = ".".join(reversed(ip.split("."))) + ".in-addr.arpa"
    assert full in resolved(lab, reverse, "ptr")
    for name in ("hl", "hl.default", "hl.default.svc"):
        assert answers(lab, name) == "dns-querier-2", name
    assert lab.sh("hl-1", "hostname -f").strip() == full
    delete(lab, "services", "hl")
    delete(lab, "pods", "hl-1")


def test_proxy_to_pods_and_services(lab: Lab) -> None:
    lab.apply(kit.pod("px", kit.web()), kit.service("px", ports=[{"name": "web", "port": 1080, "targetPort": 80}]))
    lab.ready("px")
    until(lambda: lab.get("endpoints", "px")["subsets"], "it has an endpoint")
    base = "/api/v1/namespaces/default"
    for where in (
        "pods/px",
        "pods/px:80",
        "pods/http:px:80",
        "services/px:web",
        "services/px:1080",
        "services/http:px:web",
    ):
        for tail in ("/proxy/", "/proxy/index.html"):
            got = until(lambda where=where, tail=tail: lab.kubectl("get", "--raw", f"{base}/{where}{tail}"), where)
            assert got.strip() == "px", where
    node = lab.call("GET", "/api/v1/nodes")["items"][0]["metadata"]["name"]
    assert lab.kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/logs/")
    delete(lab, "services", "px")
    delete(lab, "pods", "px")


# accounts


@pytest.mark.parametrize("account", [None, True, False])
def test_token_mount_can_be_declined(lab: Lab, account: bool | None) -> None:
    name = f"am-{account}".lower()
    body: Tree = {"metadata": {"name": name}}
    if account is not None:
        body["automountServiceAccountToken"] = account
    create(lab, "serviceaccounts", body)
    for wish in (None, True, False):
        spec = {"serviceAccountName": name, **({} if wish is None else {"automountServiceAccountToken": wish})}
        made = create(lab, "pods", kit.pod(f"{name}-{wish}".lower(), **spec), query="?dryRun=All")
        mounts = [m["mountPath"] for m in made["spec"]["containers"][0].get("volumeMounts", ())]
        expected = wish if wish is not None else account is not False
        assert ("/var/run/secrets/kubernetes.io/serviceaccount" in mounts) == expected, (account, wish)


def test_root_certificates_reach_every_namespace(lab: Lab) -> None:
    name = new_namespace(lab, "root-ca")
    whole = until(lambda: lab.get("configmaps", "kube-root-ca.crt", name)["data"], "it is made")
    delete(lab, "configmaps", "kube-root-ca.crt", name)
    until(lambda: lab.get("configmaps", "kube-root-ca.crt", name)["data"] == whole, "made again")
    lab.patch("configmaps", "kube-root-ca.crt", {"data": {"ca.crt": "changed"}}, name)
    until(lambda: lab.get("configmaps", "kube-root-ca.crt", name)["data"] == whole, "mended")
    lab.call("DELETE", f"/api/v1/namespaces/{name}")
    lab.gone("namespaces", name, "")


def test_issuer_discovery(lab: Lab) -> None:
    found = json.loads(lab.kubectl("get", "--raw", "/.well-known/openid-configuration"))
    token = lab.kubectl("create", "token", "default").strip()
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["iss"] == found["issuer"] and claims["sub"] == "system:serviceaccount:default:default"
    assert found["response_types_supported"] == ["id_token"] and found["subject_types_supported"] == ["public"]
    keys = json.loads(lab.kubectl("get", "--raw", "/openid/v1/jwks"))["keys"]
    header = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    assert header["kid"] in [k["kid"] for k in keys]
    assert header["alg"] in found["id_token_signing_alg_values_supported"]
    review = create(lab, "authentication.k8s.io/v1/tokenreviews", {"spec": {"token": token}}, "")
    assert review["status"]["user"]["username"] == "system:serviceaccount:default:default"


# quotas and limits


def test_quota_follows_the_life_of_objects(lab: Lab) -> None:
    name = new_namespace(lab, "quota")
    hard = {"pods": "5", "services": "10", "replicationcontrollers": "10", "resourcequotas": "10", "secrets": "10"}
    hard |= {"count/replicasets.apps": "5", "configmaps": "10", "requests.cpu": "1", "requests.memory": "500Mi"}
    hard |= {"persistentvolumeclaims": "10", "requests.storage": "10Gi", "services.nodeports": "1"}
    hard |= {"services.loadbalancers": "1", "requests.example.com/dongle": "3", "requests.ephemeral-storage": "50Gi"}
    create(lab, "resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": hard}}, name)
    used = lambda key: lab.get("resourcequotas", "q", name)["status"]["used"].get(key)  # noqa: E731
    until(lambda: lab.get("resourcequotas", "q", name)["status"]["hard"] == hard, "it is counted")
    assert used("resourcequotas") == "1" and used("pods") == "0"
    base = int(used("configmaps"))
    requests = {"cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi", "example.com/dongle": "2"}
    limits = {"example.com/dongle": "2"}

    def pod(title: str, **wanted: str) -> Tree:
        body = kit.container(resources={"requests": {**requests, **wanted}, "limits": limits})
        tree = kit.pod(title, body, nodeSelector={"no": "where"})
        tree["metadata"]["namespace"] = name
        return tree

    def object_(body: Tree) -> Tree:
        body["metadata"]["namespace"] = name
        return body

    create(lab, "pods", pod("one"), name)
    until(lambda: (used("pods"), used("requests.cpu"), used("requests.memory")) == ("1", "500m", "252Mi"), "counted")
    assert used("requests.example.com/dongle") == "2" and used("requests.ephemeral-storage") == "30Gi"
    assert "exceeded quota: q" in str(refused(lambda: create(lab, "pods", pod("two", cpu="600m"), name)))
    assert "requests.example.com/dongle" in str(refused(lambda: create(lab, "pods", pod("two"), name)))
    change = {"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "100m"}}}]}}
    strategic = "application/strategic-merge-patch+json"
    assert refused(lambda: lab.call("PATCH", path("pods", "one", name), change, strategic)).code == 422
    delete(lab, "pods", "one", name, gracePeriodSeconds=0)
    until(lambda: (used("pods"), used("requests.cpu"), used("requests.memory")) == ("0", "0", "0"), "released")
    for resource, key, body in (
        ("configmaps", "configmaps", kit.config_map("x", a="b")),
        ("secrets", "secrets", kit.secret("x", a="b")),
        ("services", "services", kit.service("x")),
        (
            "replicationcontrollers",
            "replicationcontrollers",
            {
                "metadata": {"name": "x"},
                "spec": {
                    "replicas": 0,
                    "selector": {"a": "b"},
                    "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [kit.container()]}},
                },
            },
        ),
        ("apps/v1/replicasets", "count/replicasets.apps", {**kit.deployment("x", 0), "kind": "ReplicaSet"}),
        (
            "persistentvolumeclaims",
            "persistentvolumeclaims",
            {
                "metadata": {"name": "x"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            },
        ),
    ):
        before = int(used(key) or 0)
        create(lab, resource, object_(body), name)
        until(lambda key=key, before=before: int(used(key)) == before + 1, f"{key} counts")
        delete(lab, resource, "x", name)
        until(lambda key=key, before=before: int(used(key)) == before, f"{key} is released")
    assert int(used("configmaps")) == base
    port = kit.service("np", type="NodePort")
    create(lab, "services", object_(port), name)
    until(lambda: used("services.nodeports") == "1", "node ports count")
    assert refused(lambda: create(lab, "services", object_(kit.service("np2", type="NodePort")), name)).code == 403
    lab.patch("services", "np", {"spec": {"type": "ClusterIP", "ports": [{"port": 80, "nodePort": None}]}}, name)
    until(lambda: used("services.nodeports") == "0", "and are released")
    lab.call("DELETE", f"/api/v1/namespaces/{name}")
    lab.gone("namespaces", name, "")


def test_quota_scopes(lab: Lab) -> None:
    name = new_namespace(lab, "scopes")
    for scope in ("BestEffort", "NotBestEffort", "Terminating", "NotTerminating"):
        body = {"metadata": {"name": scope.lower()}, "spec": {"hard": {"pods": "5"}, "scopes": [scope]}}
        create(lab, "resourcequotas", body, name)
    every = ("besteffort", "notbesteffort", "terminating", "notterminating")
    counts = lambda: [lab.get("resourcequotas", n, name).get("status", {}).get("used", {}).get("pods") for n in every]  # noqa: E731
    until(lambda: counts() == ["0"] * 4, "all are counted")
    sized = kit.container(resources={"requests": {"cpu": "500m"}})
    for title, body, expected in (
        ("best", kit.pod("best"), ["1", "0", "0", "1"]),
        ("sized", kit.pod("sized", sized), ["0", "1", "0", "1"]),
        ("short", kit.pod("short", sized, activeDeadlineSeconds=3600), ["0", "1", "1", "0"]),
    ):
        body["metadata"]["namespace"] = name
        body["spec"]["nodeSelector"] = {"no": "where"}
        create(lab, "pods", body, name)
        until(lambda expected=expected: counts() == expected, f"{title} counts")
        delete(lab, "pods", title, name, gracePeriodSeconds=0)
        until(lambda: counts() == ["0"] * 4, f"{title} is released")
    lab.call("DELETE", f"/api/v1/namespaces/{name}")


def test_quota_status_can_be_written(lab: Lab) -> None:
    name = new_namespace(lab, "quota-status")
    body = {"metadata": {"name": "q"}, "spec": {"hard": {"cpu": "500m", "memory": "500Mi"}}}
    create(lab, "resourcequotas", body, name)
    until(lambda: lab.get("resourcequotas", "q", name)["status"]["hard"]["cpu"] == "500m", "counted")
    lab.patch("resourcequotas", "q", {"spec": {"hard": {"cpu": "1", "memory": "1Gi"}}}, name)
    until(lambda: lab.get("resourcequotas", "q", name)["status"]["hard"] == {"cpu": "1", "memory": "1Gi"}, "recounted")
    target = path("resourcequotas", "q", name) + "/status"
    after = lab.call("PATCH", target, {"status": {"hard": {"cpu": "1", "memory": "2Gi"}}}, MERGE)
    assert after["status"]["hard"]["memory"] == "2Gi" and after["spec"]["hard"]["memory"] == "1Gi"
    until(lambda: lab.get("resourcequotas", "q", name)["status"]["hard"]["memory"] == "1Gi", "and set right again")
    lab.call("DELETE", f"/api/v1/namespaces/{name}")


def test_limit_range(lab: Lab) -> None:
    name = new_namespace(lab, "limits")
    limits = [
        {
            "type": "Container",
            "min": {"cpu": "50m", "memory": "100Mi"},
            "max": {"cpu": "500m", "memory": "500Mi"},
            "default": {"cpu": "500m", "memory": "500Mi"},
            "defaultRequest": {"cpu": "100m", "memory": "200Mi"},
        }
    ]
    create(lab, "limitranges", {"metadata": {"name": "l"}, "spec": {"limits": limits}}, name)

    def pod(title: str, **resources: Tree) -> Tree:
        tree = kit.pod(title, kit.container(resources=resources), nodeSelector={"no": "where"})
        tree["metadata"]["namespace"] = name
        return tree

    whole = {"cpu": "500m", "memory": "500Mi"}
    made = create(lab, "pods", pod("none"), name)["spec"]["containers"][0]["resources"]
    assert made == {"requests": {"cpu": "100m", "memory": "200Mi"}, "limits": whole}
    part = {"requests": {"cpu": "300m", "memory": "150Mi"}, "limits": {"cpu": "300m", "memory": "500Mi"}}
    assert create(lab, "pods", pod("part", **part), name)["spec"]["containers"][0]["resources"] == part
    small = refused(lambda: create(lab, "pods", pod("small", requests={"cpu": "10m", "memory": "50Mi"}), name))
    assert small.code == 403 and "minimum cpu usage per Container is 50m, but request is 10m" in str(small)
    large = refused(lambda: create(lab, "pods", pod("large", limits={"cpu": "600m"}), name))
    assert "maximum cpu usage per Container is 500m, but limit is 600m" in str(large)
    lab.call("DELETE", f"/api/v1/namespaces/{name}")


# taints


def test_taints_evict_in_time(lab: Lab) -> None:
    node = lab.call("GET", "/api/v1/nodes")["items"][0]["metadata"]["name"]
    taint = {"key": "kubernetes.io/e2e-evict-taint-key", "value": "evictTaintVal", "effect": "NoExecute"}
    tolerate = lambda seconds: {**taint, "operator": "Equal", "tolerationSeconds": seconds}  # noqa: E731
    wide = {"operator": "Exists", "effect": "NoExecute"}
    lab.apply(
        kit.pod("tt-soon", tolerations=[tolerate(1)]),
        kit.pod("tt-late", tolerations=[tolerate(3600)]),
        kit.pod("tt-never", tolerations=[wide]),
        kit.pod("tt-now"),
    )
    for name in ("tt-soon", "tt-late", "tt-never", "tt-now"):
        lab.ready(name)
    lab.patch("nodes", node, {"spec": {"taints": [taint]}}, "")
    try:
        lab.gone("pods", "tt-now")
        lab.gone("pods", "tt-soon")
        for name in ("tt-late", "tt-never"):
            assert "deletionTimestamp" not in lab.get("pods", name)["metadata"]
    finally:
        lab.patch("nodes", node, {"spec": {"taints": None}}, "")
    assert "deletionTimestamp" not in lab.get("pods", "tt-late")["metadata"]


# volumes that change


@pytest.mark.parametrize("kind", ["configmaps", "secrets"])
def test_optional_sources_come_change_and_go(lab: Lab, kind: str) -> None:
    make = kit.config_map if kind == "configmaps" else kit.secret
    names = {n: f"{kind}-{n}" for n in ("del", "upd", "new")}
    key = {"configmaps": ("configMap", "name"), "secrets": ("secret", "secretName")}[kind]
    volumes = [{"name": n, key[0]: {key[1]: full, "optional": True}} for n, full in names.items()]
    volumes.append({"name": "p", "projected": {"sources": [{key[0]: {"name": names["upd"], "optional": True}}]}})
    mounts = [{"name": v["name"], "mountPath": f"/{v['name']}"} for v in volumes]
    lab.apply(make(names["del"], **{"data-1": "one"}), make(names["upd"], **{"data-1": "one"}))
    pod = f"opt-{kind}"
    lab.apply(kit.pod(pod, kit.container(volumeMounts=mounts), volumes=volumes))
    lab.ready(pod)
    delete(lab, kind, names["del"])
    lab.apply(make(names["upd"], **{"data-3": "three"}), make(names["new"], **{"data-1": "new"}))
    until(lambda: lab.sh(pod, "cat /new/data-1", ok=False) == "new", "the new one came")
    look = "ls /upd; cat /upd/data-3; echo; ls /p"
    until(lambda: lab.sh(pod, look, ok=False).split() == ["data-3", "three", "data-3"], "the changed one changed")
    until(lambda: lab.sh(pod, "ls /del", ok=False) == "", "the deleted one went")
    delete(lab, "pods", pod)


@pytest.mark.parametrize("kind", ["configmaps", "secrets"])
def test_immutable(lab: Lab, kind: str) -> None:
    make = kit.config_map if kind == "configmaps" else kit.secret
    name = f"{kind}-fixed"
    create(lab, kind, make(name, a="b"))
    lab.patch(kind, name, {"immutable": True})
    error = refused(lambda: lab.patch(kind, name, {"data": {"a": "Yw=="}}))
    assert error.code == 422 and "field is immutable when `immutable` is set" in str(error)
    assert refused(lambda: lab.patch(kind, name, {"immutable": False})).code == 422
    lab.patch(kind, name, {"metadata": {"labels": {"l": "v"}}})
    delete(lab, kind, name)
    empty = refused(lambda: create(lab, kind, make(f"{kind}-empty", **{"": "b"})))
    assert empty.code == 422


def test_downward_files_follow_labels_and_annotations(lab: Lab) -> None:
    items = [{"path": p, "fieldRef": {"fieldPath": f"metadata.{p}"}} for p in ("labels", "annotations")]
    volume = {"name": "v", "downwardAPI": {"items": items}}
    tree = kit.pod("df", kit.container(volumeMounts=[{"name": "v", "mountPath": "/v"}]), volumes=[volume])
    tree["metadata"]["annotations"] = {"builder": "bar"}
    create(lab, "pods", tree)
    lab.ready("df")
    assert 'builder="bar"' in lab.sh("df", "cat /v/annotations")
    lab.patch("pods", "df", {"metadata": {"labels": {"key3": "value3"}, "annotations": {"builder": "foo"}}})
    until(lambda: 'key3="value3"' in lab.sh("df", "cat /v/labels"), "the label")
    until(lambda: 'builder="foo"' in lab.sh("df", "cat /v/annotations"), "the annotation")
    delete(lab, "pods", "df")


def test_pods_go_with_their_namespace(lab: Lab) -> None:
    name = new_namespace(lab, "doomed")
    tree = kit.pod("d")
    tree["metadata"]["namespace"] = name
    create(lab, "pods", tree, name)
    create(lab, "services", {**kit.service("d"), "metadata": {"name": "d"}}, name)
    lab.ready("d", name)
    lab.patch("namespaces", name, {"metadata": {"labels": {"x": "y"}}}, "")
    status = lab.call("GET", f"/api/v1/namespaces/{name}/status")
    assert status["status"]["phase"] == "Active"
    condition = {"type": "StatusPatch", "status": "True"}
    done = lab.call("PATCH", f"/api/v1/namespaces/{name}/status", {"status": {"conditions": [condition]}}, MERGE)
    assert done["status"]["conditions"][0]["type"] == "StatusPatch"
    whole = lab.get("namespaces", name, "")
    whole["spec"]["finalizers"] = [*whole["spec"]["finalizers"], "e2e.example.com/fake"]
    kept = lab.call("PUT", f"/api/v1/namespaces/{name}/finalize", whole)
    assert kept["spec"]["finalizers"] == ["kubernetes", "e2e.example.com/fake"]
    kept["spec"]["finalizers"] = ["kubernetes"]
    lab.call("PUT", f"/api/v1/namespaces/{name}/finalize", kept)
    lab.call("DELETE", f"/api/v1/namespaces/{name}")
    lab.gone("namespaces", name, "")
    new_namespace(lab, name)
    assert lab.pods(namespace=name) == []
    lab.call("DELETE", f"/api/v1/namespaces/{name}")
