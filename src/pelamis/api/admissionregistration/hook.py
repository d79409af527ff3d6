"""What validating and mutating webhooks share: defaults, checks, columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pelamis.api.admissionregistration.match import validate_match_conditions, validate_rule
from pelamis.api.admissionregistration.webhook import check_service, check_url
from pelamis.api.check import Errors, check_choice, check_text
from pelamis.api.field import Tree
from pelamis.api.metavalidate import validate_label_selector
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import duplicate, invalid, required

_SIDE_EFFECTS = ("None", "NoneOnDryRun")
_REVIEWS = ("v1", "v1beta1")
_LONGEST_S = 30


def default_hooks(tree: Tree) -> None:
    for hook in tree.get("webhooks") or ():
        for name, value in (("failurePolicy", "Fail"), ("matchPolicy", "Equivalent"), ("timeoutSeconds", 10)):
            if hook.get(name) is None:
                hook[name] = value
        for name in ("namespaceSelector", "objectSelector"):
            if hook.get(name) is None:
                hook[name] = {}
        for rule in hook.get("rules") or ():
            if rule.get("scope") is None:
                rule["scope"] = "*"
        service = (hook.get("clientConfig") or {}).get("service")
        if service is not None and service.get("port") is None:
            service["port"] = 443


def _validate_client(client: Any, path: str) -> Errors:
    if (client.url is None) == (client.service is None):
        return [required(path, "exactly one of url or service is required")]
    if client.url is not None:
        return check_url(client.url, f"{path}.url", force_https=True)
    return check_service(client.service, f"{path}.service")


def _validate_reviews(versions: Sequence[str], path: str) -> Errors:
    if not versions:
        return [required(path, "must specify one of " + ", ".join(_REVIEWS))]
    errors: Errors = []
    for i, version in enumerate(versions):
        if version in versions[:i]:
            errors.append(invalid(f"{path}[{i}]", version, "duplicate version"))
        else:
            errors += check_text(names.is_dns1035_label, version, f"{path}[{i}]")
    if not set(versions) & set(_REVIEWS):
        errors.append(invalid(path, versions, "must include at least one of " + ", ".join(_REVIEWS)))
    return errors


def _validate_hook(hook: Any, path: str) -> Errors:
    errors: Errors = []
    if not hook.name:
        errors.append(required(f"{path}.name"))
    else:
        errors += check_text(names.is_fully_qualified_name, hook.name, f"{path}.name")
    for i, rule in enumerate(hook.rules):
        errors += validate_rule(rule, f"{path}.rules[{i}]")
    for name, choices in (("failurePolicy", ("Fail", "Ignore")), ("matchPolicy", ("Equivalent", "Exact"))):
        if getattr(hook, name) is not None:
            errors += check_choice(getattr(hook, name), f"{path}.{name}", choices)
    if hook.sideEffects is None:
        errors.append(required(f"{path}.sideEffects", "must specify one of " + ", ".join(_SIDE_EFFECTS)))
    else:
        errors += check_choice(hook.sideEffects, f"{path}.sideEffects", _SIDE_EFFECTS)
    timeout = hook.timeoutSeconds
    if timeout is not None and not 1 <= timeout <= _LONGEST_S:
        detail = f"the timeout value must be between 1 and {_LONGEST_S} seconds"
        errors.append(invalid(f"{path}.timeoutSeconds", timeout, detail))
    for name in ("namespaceSelector", "objectSelector"):
        errors += validate_label_selector(getattr(hook, name), f"{path}.{name}")
    errors += _validate_client(hook.clientConfig, f"{path}.clientConfig")
    errors += _validate_reviews(hook.admissionReviewVersions, f"{path}.admissionReviewVersions")
    errors += validate_match_conditions(hook.matchConditions, f"{path}.matchConditions")
    again = getattr(hook, "reinvocationPolicy", None)
    if again is not None:
        errors += check_choice(again, f"{path}.reinvocationPolicy", ("IfNeeded", "Never"))
    return errors


def validate_hooks(hooks: Sequence[Any]) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for i, hook in enumerate(hooks):
        path = f"webhooks[{i}]"
        errors += _validate_hook(hook, path)
        if hook.name in seen:
            errors.append(duplicate(f"{path}.name", hook.name))
        seen.add(hook.name)
    return errors


def cells(obj: Any, now: float) -> Sequence[Any]:
    return obj.metadata.name, len(obj.webhooks), age(obj.metadata.creationTimestamp, now)
