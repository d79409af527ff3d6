"""What is asked of the real kubectl: one line per command, in an order in which they follow from each other.

``Step(name, arguments, expected)``: ``expected`` is a regular expression found in what the command prints (on both
streams); ``code`` its exit status; ``stdin`` its input; ``since`` the first minor version that knows the command.
``{ns}``, ``{dir}`` and ``{port}`` in the arguments are filled in; a step whose arguments start with ``!`` is a shell
line in which ``$K`` is kubectl.
"""

# ruff: noqa: E501
from __future__ import annotations

from typing import NamedTuple


class Step(NamedTuple):
    name: str
    arguments: str
    expected: str = ""
    code: int = 0
    stdin: str = ""
    since: int = 27


DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "nginx:1", ports: [{containerPort: 80}]}]}
"""
INVALID = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: bad}
spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: c}}, spec: {containers: [{image: x}]}}}
"""
THING = "---\n{apiVersion: full.example.test/v1, kind: Thing, metadata: {name: t}, spec: {size: 3, color: red}}"

STEPS = [
    Step("version", "version", r"Server Version: (version.Info\S+)?.*v1\.37"),
    Step("version -o json", "version -o json", r'"gitVersion": "v1\.37'),
    Step("cluster-info", "cluster-info", r"control plane.* is running at"),
    Step("cluster-info dump", "cluster-info dump --namespaces {ns} --output-directory {dir}/dump", r"(?s).*"),
    Step("api-versions", "api-versions", r"(?s)apps/v1\n.*batch/v1\n.*\nv1$"),
    Step("api-resources", "api-resources", r"deployments +deploy +apps/v1 +true +Deployment"),
    Step("api-resources --verbs -o wide", "api-resources --verbs=list,watch -o wide", r"pods +po .*\[?create"),
    Step("api-resources --namespaced=false", "api-resources --namespaced=false -o name", r"nodes"),
    Step("config view", "config view", r"kind: Config"),
    Step("config current-context", "config current-context", r"\w"),
    Step("auth can-i", "auth can-i create pods", r"yes"),
    Step("auth can-i --as", "auth can-i create pods --as jane", r"no", code=1),
    Step("auth can-i --list", "auth can-i --list", r"\*\.\* +\[\] +\[\] +\[\*\]"),
    Step("auth can-i subresource", "auth can-i get pods --subresource=log", r"yes"),
    Step("auth whoami", "auth whoami", r"system:masters", since=28),
    Step(
        "auth reconcile",
        "auth reconcile -f -",
        r"role.rbac.authorization.k8s.io/rec reconciled",
        stdin="---\n{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: rec, namespace: NAMESPACE}, rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]}",
    ),
    # create <generators>
    Step("create configmap", "create configmap cm --from-literal=a=b", "configmap/cm created"),
    Step("create secret generic", "create secret generic gen --from-literal=a=b", "secret/gen created"),
    Step(
        "create secret docker-registry",
        "create secret docker-registry reg --docker-server=r.test --docker-username=u --docker-password=p",
        "secret/reg created",
    ),
    Step("create secret tls", "create secret tls tls --cert={dir}/tls.crt --key={dir}/tls.key", "secret/tls created"),
    Step(
        "create deployment", "create deployment gen --image=nginx --replicas=2 --port=80", "deployment.apps/gen created"
    ),
    Step("create job", "create job one --image=busybox -- true", "job.batch/one created"),
    Step(
        "create cronjob",
        "create cronjob tick --image=busybox --schedule='*/5 * * * *' -- date",
        "cronjob.batch/tick created",
    ),
    Step("create job --from", "create job from --from=cronjob/tick", "job.batch/from created"),
    Step(
        "create role",
        "create role r --verb=get,list --resource=pods,deployments.apps --resource-name=x",
        "role.rbac.*/r created",
    ),
    Step(
        "create rolebinding",
        "create rolebinding rb --role=r --user=jane --serviceaccount={ns}:sa",
        "rolebinding.rbac.*/rb created",
    ),
    Step(
        "create clusterrole",
        "create clusterrole kubectl-cr --verb=get --non-resource-url=/x",
        "clusterrole.rbac.*/kubectl-cr created",
    ),
    Step(
        "create clusterrolebinding",
        "create clusterrolebinding kubectl-crb --clusterrole=kubectl-cr --group=g",
        "kubectl-crb created",
    ),
    Step("create quota", "create quota q --hard=configmaps=100,pods=50", "resourcequota/q created"),
    Step(
        "create ingress",
        "create ingress ing --rule=a.test/x*=svc:80,tls=sec --class=c --default-backend=svc:80",
        "ingress.networking.k8s.io/ing created",
    ),
    Step("create serviceaccount", "create serviceaccount sa", "serviceaccount/sa created"),
    Step("create token", "create token sa --duration=1h --audience=x", r"^ey[\w-]+\.[\w-]+\.[\w-]+"),
    Step(
        "create pdb", "create pdb pdb --selector=app=web --min-available=50%", "poddisruptionbudget.policy/pdb created"
    ),
    Step(
        "create priorityclass",
        "create priorityclass kubectl-pc --value=7 --description=d",
        "priorityclass.scheduling.k8s.io/kubectl-pc created",
    ),
    Step("create service clusterip", "create service clusterip c --tcp=80:8080", "service/c created"),
    Step("create service nodeport", "create service nodeport n --tcp=80", "service/n created"),
    Step("create service loadbalancer", "create service loadbalancer l --tcp=80", "service/l created"),
    Step("create service externalname", "create service externalname e --external-name=x.test", "service/e created"),
    Step("create namespace", "create namespace kubectl-ns", "namespace/kubectl-ns created"),
    Step("create --dry-run=server", "create configmap dry --from-literal=a=b --dry-run=server -o yaml", r"uid: \w"),
    Step("create twice", "create configmap cm", r'configmaps "cm" already exists', code=1),
    Step("run", "run solo --image=nginx --env=A=b --labels=x=y --port=80", "pod/solo created"),
    Step("run --dry-run=client", "run x --image=nginx --dry-run=client -o yaml", "image: nginx"),
    # apply, of every kind, twice by the client and then by the server
    Step(
        "apply -f (every kind)",
        "apply -f {dir}/corpus.yaml",
        r"customresourcedefinition.apiextensions.k8s.io/things.full.example.test created",
    ),
    Step("apply again: unchanged", "!$K apply -f {dir}/corpus.yaml | grep -v unchanged | wc -l", r"^([0-9]|1[0-2])$"),
    Step("diff: none", "diff -f {dir}/deployment-applied.yaml", r"^$"),
    Step("apply --server-side", "apply --server-side --force-conflicts -f {dir}/corpus.yaml", "serverside-applied"),
    Step(
        "apply --server-side again",
        "apply --server-side --force-conflicts -f {dir}/corpus.yaml",
        "deployment.apps/full-deployment serverside-applied",
    ),
    Step("apply --dry-run=server", "apply --dry-run=server -f {dir}/deployment-applied.yaml", r"\(server dry run\)"),
    Step(
        "apply --server-side: conflict",
        "apply --server-side --field-manager=other -f -",
        r"conflict",
        code=1,
        stdin="---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: full-configmap}, data: {key: clash}}",
    ),
    Step("apply view-last-applied", "apply view-last-applied configmap/full-configmap", r"key: value"),
    Step(
        "apply --prune",
        "apply --prune -l prune=yes --prune-allowlist=core/v1/ConfigMap -f -",
        r"(?s)keep (created|unchanged)",
        stdin="---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: keep, labels: {prune: 'yes'}}}",
    ),
    Step(
        "apply an invalid object",
        "apply -f -",
        r"(?s)`?selector`? does not match template `?labels`?.*containers\[0\].name: Required value",
        code=1,
        stdin=INVALID,
    ),
    Step(
        "apply an unknown field",
        "apply -f -",
        r'unknown field "oddity"',
        code=1,
        stdin="---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: odd}, oddity: 1}",
    ),
    Step(
        "apply --validate=warn",
        "apply --validate=warn -f -",
        r'unknown field "oddity"',
        stdin="---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: odd}, oddity: 1}",
    ),
    Step(
        "apply a custom resource",
        "!for i in 1 2 3 4 5 6 7 8 9; do printf -- '" + THING + "' | $K apply -f - && break; sleep 0.3; done",
        "thing.full.example.test/t created",
    ),
    Step("get a custom resource", "get th t", r"(?s)NAME +SIZE\s+t +3"),
    Step("get --field-selector of a custom resource", "get th --field-selector spec.color=blue", "No resources found"),
    Step("scale a custom resource", "scale th/t --replicas=5", "scaled"),
    Step("explain a custom resource", "explain thing.spec", "size"),
    Step("apply a deployment", "apply -f -", "deployment.apps/web created", stdin=DEPLOYMENT),
    # reading
    *(
        Step(f"get {what}", f"get {what}", expected)
        for what, expected in (
            ("deploy web -o yaml", "kind: Deployment"),
            ("deploy web -o json", r'"kind": "Deployment"'),
            ("deploy web -o wide", r"web +0/2 +\d +0 .*web +nginx:1 +app=web"),
            ("deploy web -o name", r"^deployment.apps/web$"),
            ("deploy web -o jsonpath='{{.spec.replicas}}'", "^2$"),
            ("deploy web -o go-template='{{{{.metadata.name}}}}'", "^web$"),
            ("deploy web -o custom-columns=N:.metadata.name,R:.spec.replicas", r"(?s)N +R\s+web +2"),
            ("all", r"deployment.apps/web"),
            ("pods -A", "NAMESPACE +NAME"),
            ("pods -l app=web --show-labels", "app=web"),
            ("pods -L app", r"APP"),
            ("pods --sort-by=.metadata.name", "NAME"),
            ("pods --field-selector status.phase=Pending", "web-"),
            ("events", "LAST SEEN"),
            ("deploy,rs,svc", "replicaset.apps/web"),
            ("pods --chunk-size=1", "web-"),
            ("--raw /apis/apps/v1", "APIResourceList"),
            ("--raw /healthz", "^ok$"),
            ("--raw /readyz?verbose", "readyz check passed"),
            ("--raw /openapi/v2", '"swagger"'),
            ("--raw /metrics", "apiserver_request_total"),
            ("ns {ns}", r"Active"),
            ("cm full-configmap -o yaml --show-managed-fields", "managedFields"),
            ("nodes", r"full-node +.*SchedulingDisabled"),
            ("deploy web --subresource=status", "web"),
            ("cs", "(?i)"),
        )
    ),
    Step("get: not found", "get cm nope", r'\(NotFound\): configmaps "nope" not found', code=1),
    Step("get -f (every kind)", "get -f {dir}/corpus.yaml", "full-deployment"),
    Step(
        "get -w",
        "!timeout 2 $K get cm -w --output-watch-events & sleep 0.7; $K create cm watched >/dev/null; wait; true",
        r"ADDED +watched",
    ),
    Step(
        "get --watch-only",
        "!timeout 2 $K get cm --watch-only & sleep 0.7; $K label cm watched a=b >/dev/null; wait; true",
        "watched",
    ),
    Step(
        "describe (every kind)", "describe -f {dir}/described.yaml", r"(?s)Name: +full-secret.*Name: +full-deployment"
    ),
    Step("describe pod", "describe pod -l app=web", r"(?s)Controlled By: +ReplicaSet/web.*Tolerations:"),
    Step(
        "describe deployment",
        "describe deploy web",
        r"(?s)StrategyType: +RollingUpdate.*NewReplicaSet: +web-.*ScalingReplicaSet",
    ),
    Step("events --for", "events --for deployment/web", r"ScalingReplicaSet"),
    Step("events --types", "events --types=Normal", "LAST SEEN"),
    # changing
    Step(
        "edit",
        "!EDITOR='sed -i s/^..key:.*/\\ \\ key:\\ edited/' $K edit cm full-configmap",
        "configmap/full-configmap edited",
    ),
    Step("edit: no change", "!EDITOR=true $K edit cm full-configmap", "cancelled, no changes made"),
    Step("patch --type=merge", """patch cm cm --type=merge -p '{{"data":{{"x":"y"}}}}'""", "configmap/cm patched"),
    Step(
        "patch --type=json",
        """patch cm cm --type=json -p '[{{"op":"remove","path":"/data/x"}}]'""",
        "configmap/cm patched",
    ),
    Step(
        "patch --type=strategic",
        """patch deploy web -p '{{"spec":{{"template":{{"spec":{{"containers":[{{"name":"web","image":"nginx:2"}}]}}}}}}}}'""",
        "web patched",
    ),
    Step("patch: no change", """patch cm cm --type=merge -p '{{}}'""", "no change"),
    Step(
        "patch --subresource=status",
        """patch deploy web --subresource=status --type=merge -p '{{"status":{{"collisionCount":0}}}}'""",
        "web patched",
    ),
    Step("label", "label cm cm a=b", "cm labeled"),
    Step("label --overwrite", "label cm cm a=c --overwrite", "cm (labeled|unlabeled)"),
    Step("label: taken", "label cm cm a=d", "already has a value", code=1),
    Step("label -", "label cm cm a-", "cm unlabeled"),
    Step("annotate", "annotate cm cm note=x", "cm annotate"),
    Step(
        "annotate --resource-version", "annotate cm cm note=y --overwrite --resource-version=1", r"\(Conflict\)", code=1
    ),
    Step("replace", "!$K get cm cm -o yaml | sed 's/a: b/a: z/' | $K replace -f -", "configmap/cm replaced"),
    Step(
        "replace: old revision",
        '!$K get cm cm -o json | sed \'s/"resourceVersion": "[0-9]*"/"resourceVersion": "1"/\' | $K replace -f -',
        r"\(Conflict\)|the object has been modified",
        code=1,
    ),
    Step("replace --force", "!$K get cm cm -o json | $K replace --force -f -", "configmap/cm replaced"),
    Step("set image", "set image deploy/web web=nginx:3", "image updated"),
    Step("set env", "set env deploy/web A=b --from=configmap/full-configmap", "env updated"),
    Step("set env --list", "set env deploy/web --list", "A=b"),
    Step(
        "set resources",
        "set resources deploy/web --limits=cpu=1,memory=64Mi --requests=cpu=10m",
        "resource requirements updated",
    ),
    Step("set serviceaccount", "set serviceaccount deploy/web sa", "serviceaccount updated"),
    Step("set selector", "set selector svc/c app=x", "selector updated"),
    Step("set subject", "set subject rolebinding rb --group=team", "subjects updated"),
    Step("scale", "scale deploy/web --replicas=3 --current-replicas=2", "web scaled"),
    Step(
        "scale: precondition",
        "scale deploy/web --replicas=1 --current-replicas=9",
        "(?i)expected replicas to be 9",
        code=1,
    ),
    Step("autoscale", "autoscale deploy/web --min=1 --max=4 --cpu-percent=50", "autoscaled", since=27),
    Step("expose", "expose deploy/web --port=80 --target-port=8080 --name=exposed", "service/exposed exposed"),
    Step("rollout history", "rollout history deploy/web", "REVISION"),
    Step("rollout history --revision", "rollout history deploy/web --revision=2", "nginx:2"),
    Step("rollout undo", "rollout undo deploy/web", "rolled back"),
    Step("rollout undo --to-revision", "rollout undo deploy/web --to-revision=2", "rolled back"),
    Step("rollout pause", "rollout pause deploy/web", "paused"),
    Step("rollout status: paused", "rollout status deploy/web --watch=false", "(?i)waiting for|paused"),
    Step("rollout resume", "rollout resume deploy/web", "resumed"),
    Step("rollout restart", "rollout restart deploy/web", "restarted"),
    Step("rollout status", "rollout status deploy/gen --watch=false", "Waiting for deployment"),
    Step("wait --for=jsonpath", "wait deploy/web --for=jsonpath='{{.spec.replicas}}'=3 --timeout=5s", "condition met"),
    Step("wait --for=condition", "wait deploy/full-deployment --for=condition=Available --timeout=5s", "condition met"),
    Step("wait: times out", "wait pod -l app=web --for=condition=Ready --timeout=1s", "timed out waiting", code=1),
    Step(
        "wait --for=delete",
        "!$K create cm gone >/dev/null; (sleep 0.5; $K delete cm gone) & $K wait cm/gone --for=delete --timeout=10s",
        "condition met|deleted",
    ),
    Step("taint", "taint node full-node k=v:NoSchedule", "tainted"),
    Step("taint -", "taint node full-node k:NoSchedule-", "untainted"),
    Step("uncordon", "uncordon full-node", "uncordoned"),
    Step("cordon", "cordon full-node", "cordoned"),
    Step("drain", "drain full-node --ignore-daemonsets --timeout=5s", "drained"),
    Step("certificate approve", "certificate approve full-csr", "approved"),
    Step("auth can-i through RBAC", "auth can-i get pods/x --as jane", "yes|no", code=-1),
    # explain
    *(
        Step(f"explain {what}", f"explain {what}", expected)
        for what, expected in (
            ("deployment", r"(?s)KIND: +Deployment.*FIELDS"),
            ("pod.spec.containers.livenessProbe", "failureThreshold"),
            ("deployment --recursive", "(?s)template.*containers.*securityContext"),
            ("hpa --api-version=autoscaling/v1", "HorizontalPodAutoscaler"),
            ("ingress.spec.rules.http.paths.pathType", "pathType"),
            ("svc.spec.type", "NodePort"),
        )
    ),
    Step(
        "explain --recursive of every kind",
        "!for r in $($K api-resources -o name | grep -vE '(events|metrics)[.](events|k8s)'); do $K explain --recursive $r >/dev/null || echo bad $r; done",
        r"^$",
    ),
    Step("explain --output=plaintext-openapiv2", "explain pod --output=plaintext-openapiv2", "DESCRIPTION"),
    Step(
        "proxy",
        "!$K proxy --port={port} >/dev/null & P=$!; for i in 1 2 3 4 5 6 7 8 9; do sleep 0.2; curl -fs 127.0.0.1:{port}/version && break; done; kill $P",
        "gitVersion",
    ),
    Step("logs: no node", "logs solo", r"(?i)^$|error|does not have a host assigned|BadRequest", code=-1),
    Step("top pods: no metrics", "top pods", "(?i)metrics not available|No resources found", code=-1),
    Step("top nodes: no metrics", "top nodes", "(?i)metrics not available|No resources found", code=-1),
    Step("alpha/kustomize", "kustomize {dir}", "kustomized"),
    Step("apply -k", "apply -k {dir}", "configmap/kustomized"),
    # deleting
    Step("delete --dry-run=server", "delete cm cm --dry-run=server", r"server dry run"),
    Step(
        "delete --cascade=orphan",
        "!$K delete deploy gen --cascade=orphan && $K get rs -l app=gen -o name",
        "(?s)deleted.*replicaset.apps/gen",
    ),
    Step("delete --cascade=foreground", "delete deploy web --cascade=foreground --timeout=20s", "deleted"),
    Step(
        "delete --cascade=background",
        "!$K delete job one --cascade=background && $K get pods -l job-name=one -o name",
        "deleted",
    ),
    Step("delete pod --grace-period", "delete pod solo --grace-period=1", "deleted"),
    Step(
        "delete pod --force",
        "!$K run f --image=x >/dev/null; $K delete pod f --force --grace-period=0",
        "force deleted|deleted",
    ),
    Step("delete -l", "delete cm -l prune=yes", "deleted"),
    Step("delete --field-selector", "delete cm --field-selector metadata.name=watched", "deleted"),
    Step("delete --ignore-not-found", "delete cm nope --ignore-not-found"),
    Step("delete --all", "delete secrets --all", "deleted"),
    Step("delete namespace", "delete ns kubectl-ns --timeout=20s", "deleted"),
    Step(
        "delete -f (every kind)",
        "delete -f {dir}/corpus.yaml --ignore-not-found --timeout=30s",
        'deployment.apps "full-deployment" deleted',
    ),
    Step(
        "delete cluster objects",
        "delete clusterrole/kubectl-cr clusterrolebinding/kubectl-crb priorityclass/kubectl-pc",
        "deleted",
    ),
    Step("delete the namespace in use", "delete ns {ns} --timeout=40s", "deleted"),
]
