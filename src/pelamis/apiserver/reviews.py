"""Questions about identity and permission: TokenReview, the SubjectAccessReview family, SelfSubjectReview."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pelamis.api import codec
from pelamis.api.field import Tree
from pelamis.apiserver.authn.token import InvalidToken
from pelamis.apiserver.authz.attributes import Attributes
from pelamis.apiserver.rest import Answer
from pelamis.apiserver.user import User
from pelamis.apiserver.write import Write
from pelamis.base.errors import BadRequest, Invalid

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer


def _read(write: Write) -> Any:
    """The review as a struct, checked."""
    codec.clean(write.kind, write.tree)
    obj = codec.from_tree(write.kind, write.tree)
    errors = list(write.kind.validate(obj))
    if errors:
        shown = "" if write.kind.group == "authorization.k8s.io" else write.kind.kind  # as upstream has it
        raise Invalid(shown, write.kind.group, "", errors)
    return obj


def _answer(write: Write, status: Tree) -> Answer:
    tree = write.tree
    tree["status"] = status
    meta = tree.get("metadata") or {}
    meta.pop("managedFields", None)
    tree["metadata"] = meta
    return Answer(201, codec.encode(codec.from_tree(write.kind, tree)), None, 0, None, write.kind)


def _attributes(spec: Any) -> Attributes:
    resource = spec.resourceAttributes
    if resource is not None:
        fields = resource.fieldSelector.rawSelector if resource.fieldSelector is not None else ""
        labels = resource.labelSelector.rawSelector if resource.labelSelector is not None else ""
        return Attributes(
            resource.verb,
            resource.group,
            resource.version,
            resource.resource,
            resource.subresource,
            resource.namespace,
            resource.name,
            "",
            fields,
            labels,
        )
    path = spec.nonResourceAttributes
    return Attributes(path.verb, path=path.path)


def _decision(server: ApiServer, user: User, spec: Any) -> Tree:
    decision = server.objects.authorize(user, _attributes(spec))
    status: Tree = {"allowed": decision.allowed is True}
    if decision.reason:
        status["reason"] = decision.reason
    return status


async def self_subject_access(server: ApiServer, write: Write) -> Answer:
    review = _read(write)
    return _answer(write, _decision(server, write.user, review.spec))


async def subject_access(server: ApiServer, write: Write) -> Answer:
    review = _read(write)
    spec = review.spec
    user = User(spec.user, tuple(spec.groups), spec.uid, {k: tuple(v) for k, v in spec.extra.items()} or None)
    return _answer(write, _decision(server, user, spec))


async def local_subject_access(server: ApiServer, write: Write) -> Answer:
    codec.clean(write.kind, write.tree)
    resource = (write.tree.get("spec") or {}).get("resourceAttributes") or {}
    if resource and resource.get("namespace", "") != write.namespace:
        raise BadRequest(
            "spec.resourceAttributes.namespace must match namespace: "
            f"{resource.get('namespace', '')!s} != {write.namespace}"
        )
    given = (write.tree.get("metadata") or {}).get("namespace") or write.namespace
    if given != write.namespace:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    write.tree["metadata"] = {**(write.tree.get("metadata") or {}), "namespace": given}
    return await subject_access(server, write)


async def self_subject(server: ApiServer, write: Write) -> Answer:
    codec.clean(write.kind, write.tree)
    return _answer(write, {"userInfo": write.user.tree()})


async def token_review(server: ApiServer, write: Write) -> Answer:
    codec.clean(write.kind, write.tree)
    spec = write.tree.get("spec") or {}
    token = spec.get("token") or ""
    if not token:
        raise BadRequest("token is required for TokenReview in authentication")
    audiences = tuple(spec.get("audiences") or ())
    status: Tree = {}
    try:
        found = server.authenticator.tokens.validate(token, server.clock(), audiences)
        if found is not None:
            status = {"authenticated": True, "user": found[0].tree(), "audiences": found[1]}
        else:
            user = server.authenticator.by_token(token, server.clock())
            if user is not None:
                status = {"authenticated": True, "user": user.tree()}
            else:
                status = {"user": {}, "error": "invalid bearer token"}
    except InvalidToken as error:
        status = {"user": {}, "error": f"[invalid bearer token, {error}]"}
    return _answer(write, status)


async def self_subject_rules(server: ApiServer, write: Write) -> Answer:
    codec.clean(write.kind, write.tree)
    namespace = (write.tree.get("spec") or {}).get("namespace") or ""
    if not namespace:
        raise BadRequest("no namespace on request")
    resources: list[Tree] = []
    paths: list[Tree] = []
    for rule in server.rbac.rules_for(write.user, namespace):
        if rule.resources:
            found: Tree = {
                "verbs": list(rule.verbs),
                "apiGroups": list(rule.apiGroups),
                "resources": list(rule.resources),
            }
            if rule.resourceNames:
                found["resourceNames"] = list(rule.resourceNames)
            resources.append(found)
        if rule.nonResourceURLs:
            paths.append({"verbs": list(rule.verbs), "nonResourceURLs": list(rule.nonResourceURLs)})
    return _answer(write, {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False})


REVIEWS = {
    ("selfsubjectaccessreviews.authorization.k8s.io", ""): self_subject_access,
    ("subjectaccessreviews.authorization.k8s.io", ""): subject_access,
    ("localsubjectaccessreviews.authorization.k8s.io", ""): local_subject_access,
    ("selfsubjectrulesreviews.authorization.k8s.io", ""): self_subject_rules,
    ("selfsubjectreviews.authentication.k8s.io", ""): self_subject,
    ("tokenreviews.authentication.k8s.io", ""): token_review,
}
