"""The ``pelamis`` command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from pelamis.main.config import ConfigError

VERSION = "0.1.0"
KUBERNETES_VERSION = "v1.37.0"

Verb = Callable[[argparse.Namespace], int]


def _up(args: argparse.Namespace) -> int:
    from pelamis.main.up import up

    return up(args)


def _down(args: argparse.Namespace) -> int:
    from pelamis.main.down import down

    return down(args)


def _status(args: argparse.Namespace) -> int:
    from pelamis.main.status import status

    return status(args)


def _kubeconfig(args: argparse.Namespace) -> int:
    from pelamis.main.status import existing

    path = existing(args).path("admin.kubeconfig")
    try:
        sys.stdout.write(path.read_text())
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist yet: start the cluster with `pelamis up`") from None
    return 0


def _image(args: argparse.Namespace) -> int:
    from pathlib import Path

    from pelamis.main.image import ImageError, load, names
    from pelamis.main.status import existing

    cluster = existing(args)
    if not cluster.containerd_socket.exists():
        raise ConfigError(f'cluster "{cluster.name}" has no running node: start it with `pelamis up`')
    try:
        if args.image_verb == "load":
            found = load(cluster.containerd_socket, Path(args.file))
            print("\n".join(f"loaded {name}" for name in found))
        else:
            print("\n".join(names(cluster.containerd_socket)))
    except ImageError as error:
        raise ConfigError(str(error)) from None
    return 0


def _logs(args: argparse.Namespace) -> int:
    from pelamis.main.status import logs

    return logs(args)


def _version(args: argparse.Namespace) -> int:
    print(f"pelamis {VERSION} (Kubernetes API {KUBERNETES_VERSION}, Python {sys.version.split()[0]})")
    return 0


def _doctor(args: argparse.Namespace) -> int:
    from pelamis.main.doctor import examine, missing

    findings = examine()
    for finding in findings:
        mark = "ok     " if finding.ok else ("MISSING" if finding.needed else "note   ")
        print(f"{mark}  {finding.name:<14} {finding.detail}")
        if finding.fix and not finding.ok:
            print(f"{'':25}-> {finding.fix}")
    problems = missing(findings)
    lacking = "1 thing is" if len(problems) == 1 else f"{len(problems)} things are"
    print(f"\n{lacking} missing for a node" if problems else "\nthis machine can run a node")
    return 1 if problems else 0


def _simulate(args: argparse.Namespace) -> int:
    from pelamis.main.simulate import run

    return run(args)


def _why(args: argparse.Namespace) -> int:
    from pelamis.main.why import run

    return run(args)


def _kubectl(args: argparse.Namespace) -> int:
    """Runs kubectl with the cluster's kubeconfig, so that nothing has to be merged or exported."""
    import shutil

    from pelamis.main.status import existing

    cluster = existing(args)
    path = shutil.which("kubectl")
    if path is None:
        raise ConfigError("kubectl is not installed (Debian: apt-get install kubernetes-client)")
    os.environ["KUBECONFIG"] = str(cluster.path("admin.kubeconfig"))
    arguments = args.arguments[1:] if args.arguments[:1] == ["--"] else args.arguments
    os.execv(path, ["kubectl", *arguments])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pelamis",
        description="Kubernetes, in Python. `pelamis up` gives a cluster; then use plain kubectl.",
        epilog="Example: pelamis up && kubectl get nodes",
    )
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)

    def add(name: str, run: Verb, text: str, *, named: bool = True) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        sub.set_defaults(run=run)
        if named:
            sub.add_argument("--name", default="default", metavar="N", help="the cluster's name (default: default)")
            sub.add_argument(
                "--data-dir", metavar="D", help="where its data is (default: /var/lib/pelamis/NAME as root)"
            )
        return sub

    up = add("up", _up, "start a cluster and wait until its node is ready")
    up.add_argument("--port", type=int, metavar="P", help="port of the API (default: 6443; further clusters 6444, …)")
    up.add_argument("--foreground", action="store_true", help="stay in the terminal; Ctrl-C stops the cluster")
    up.add_argument("--no-node", action="store_true", help="control plane alone: needs neither root nor containerd")
    up.add_argument(
        "--hollow-nodes", type=int, metavar="N", help="have N nodes without containers too (docs/hollow-nodes.md)"
    )
    up.add_argument(
        "--hollow-node",
        metavar="SPEC",
        help="what each has (default: cpu=8,memory=32Gi,pods=110); also zones=N, labels=K=V;K=V, taints=K=V:EFFECT",
    )
    up.add_argument(
        "--datastore",
        metavar="etcd=URL[,URL…]",
        help="keep objects in etcd instead of a file (docs/high-availability.md)",
    )
    for name, value, text in (
        ("ca", "FILE", "certificate authority of etcd's certificate"),
        ("cert", "FILE", "client certificate for etcd"),
        ("key", "FILE", "its key"),
        ("user", "NAME", "user of etcd's own authentication"),
        ("password-file", "FILE", "file that holds the user's password"),
    ):
        up.add_argument(f"--datastore-{name}", metavar=value, help=text)
    up.add_argument("--join", metavar="D", help="be one more server of the cluster with this data directory (on etcd)")
    up.add_argument(
        "--runtime-config",
        action="append",
        metavar="KEY=VALUE[,…]",
        help="API versions to serve: api/all, api/ga, api/beta, api/alpha, GROUP/VERSION or GROUP/VERSION/RESOURCE, "
        "each =true or =false (default: the general ones, no beta or alpha; kept for later starts)",
    )
    up.add_argument(
        "--feature-gates",
        action="append",
        metavar="NAME=BOOL[,…]",
        help="Kubernetes' feature gates, each =true or =false; docs/feature-gates.md tells which do something here "
        "(kept for later starts)",
    )
    up.add_argument(
        "--load-balancer-pool",
        metavar="CIDR[,…]",
        help="addresses for Services of type LoadBalancer, which this machine then answers for in its networks; none: "
        "leave them to somebody else (default: 10.95.0.0/24, reached from this machine; kept for later starts)",
    )
    up.add_argument("--advertise-address", metavar="IP", help="address at which other machines reach this server")
    up.add_argument(
        "--scheduler-config",
        metavar="FILE",
        help="a KubeSchedulerConfiguration: profiles, plugins, extenders; kept for later starts (docs/scheduler.md)",
    )
    up.add_argument(
        "--controllers",
        metavar="LIST",
        help="which controllers run, by upstream's names: * for all, NAME, -NAME; nothing at all: none (default: *; "
        "kept for later starts; docs/parts.md)",
    )
    up.add_argument(
        "--scheduler",
        action=argparse.BooleanOptionalAction,
        help="whether the scheduler runs (default: it does; kept for later starts)",
    )
    up.add_argument("--audit-policy-file", metavar="FILE", help="an audit.k8s.io/v1 Policy: what the audit log notes")
    up.add_argument("--audit-log-path", metavar="FILE", help="where it goes; -: to the server's log (default: none)")
    for option, default, text in (
        ("maxsize", 100, "megabytes after which a file is set aside"),
        ("maxbackup", 0, "files set aside that are kept; 0: all"),
        ("maxage", 0, "days that they are kept; 0: for ever"),
    ):
        up.add_argument(f"--audit-log-{option}", type=int, metavar="N", help=f"{text} (default: {default})")
    up.add_argument("--no-merge-kubeconfig", action="store_true", help="leave ~/.kube/config as it is")
    down = add("down", _down, "stop a cluster and remove what it left on the machine")
    down.add_argument("--purge", action="store_true", help="delete its data too: every object, key and image")
    add("status", _status, "show what runs and whether it is healthy")
    add("kubeconfig", _kubeconfig, "print the administrator's kubeconfig")
    logs = add("logs", _logs, "print the log of a component")
    logs.add_argument(
        "component", nargs="?", default="", help="server, agent, hollow, containerd or supervisor (default: all)"
    )
    logs.add_argument("-f", "--follow", action="store_true", help="go on printing what is added")
    image = verbs.add_parser("image", help="load and list container images", description="Load and list images.")
    kinds = image.add_subparsers(dest="image_verb", metavar="COMMAND", required=True)
    for name, text in (("load", "load a tar written by `docker save` or an OCI layout"), ("list", "list the images")):
        sub = kinds.add_parser(name, help=text, description=text)
        sub.set_defaults(run=_image)
        sub.add_argument("--name", default="default", metavar="N", help="the cluster's name (default: default)")
        sub.add_argument("--data-dir", metavar="D", help="where its data is")
        if name == "load":
            sub.add_argument("file", metavar="FILE", help="the tar archive")
    kubectl = add("kubectl", _kubectl, "run the installed kubectl against the cluster")
    kubectl.add_argument("arguments", nargs=argparse.REMAINDER, help="kubectl's own arguments")
    why = add("why", _why, "tell why an object is not as it should be, and what to do (docs/why.md)", named=False)
    why.add_argument(
        "target", nargs="*", metavar="TYPE/NAME", help="for example pod/web-1; none: everything that is wrong"
    )
    why.add_argument("-n", "--namespace", metavar="N", help="its namespace (default: the context's)")
    why.add_argument("-A", "--all-namespaces", action="store_true", help="without TYPE/NAME: look everywhere")
    why.add_argument("-o", "--output", choices=("text", "json"), default="text", help="json has every node's scores")
    why.add_argument("--kubeconfig", metavar="FILE", help="of any cluster (default: as kubectl finds it)")
    why.add_argument("--context", default="", metavar="C", help="a context of the kubeconfig")
    why.add_argument("--name", metavar="N", help="a Pelamis cluster on this machine, by its name")
    why.add_argument("--data-dir", metavar="D", help="where that one's data is")
    why.add_argument("--scheduler-config", metavar="FILE", help="judge by these profiles (default: the cluster's)")
    simulate = add("simulate", _simulate, "play a scenario on virtual time (docs/simulator.md)", named=False)
    simulate.add_argument("file", metavar="SCENARIO.yaml", help="cluster, workloads, what happens, what must hold")
    simulate.add_argument("--seed", type=int, metavar="N", help="of all chance, in place of the file's")
    simulate.add_argument("--plot", metavar="FILE.svg", help="draw pods, nodes and replicas over time")
    simulate.add_argument("--trace", action="store_true", help="print every write too")
    simulate.add_argument("--json", action="store_true", help="print everything as JSON, at the end")
    add("doctor", _doctor, "tell what this machine lacks for running a node, and how to get it", named=False)
    add("version", _version, "print the version", named=False)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    args = _parser().parse_args(argv)
    run: Verb = args.run
    try:
        code = run(args)
    except ConfigError as error:
        print(f"pelamis: {error}", file=sys.stderr)
        code = 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 141
    except KeyboardInterrupt:
        if args.verb == "up":
            print("\nstopped waiting; the cluster goes on: `pelamis status`, `pelamis down`", file=sys.stderr)
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
