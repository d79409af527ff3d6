"""Validation of what steers a pod to nodes: node selectors, affinity, tolerations, spread constraints, gates."""

from __future__ import annotations

from collections.abc import Sequence

from pelamis.api.core.nodeselector import NodeSelector, NodeSelectorRequirement, NodeSelectorTerm
from pelamis.api.core.pod.affinity import (
    Affinity,
    NodeAffinity,
    PodAffinityTerm,
    Toleration,
    TopologySpreadConstraint,
    WeightedPodAffinityTerm,
)
from pelamis.api.core.pod.spec import PodSchedulingGate
from pelamis.api.meta import LabelSelector
from pelamis.api.metavalidate import validate_label_selector
from pelamis.base import names
from pelamis.base.errors import FieldError, duplicate, forbidden, invalid, not_supported, required

Errors = list[FieldError]
TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_NOT_POSITIVE = "must be greater than zero"
_IN_BOTH = "exists in both matchLabelKeys and labelSelector"


def check_label_key(key: str, path: str, errors: Errors) -> None:
    errors.extend(invalid(path, key, m) for m in names.is_qualified_name(key))


def _check_requirement(rule: NodeSelectorRequirement, any_value: bool, path: str, errors: Errors) -> None:
    operator, values = rule.operator, rule.values
    if operator in ("In", "NotIn"):
        if not values:
            errors.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errors.append(forbidden(f"{path}.values", detail))
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            detail = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            errors.append(required(f"{path}.values", detail))
    else:
        errors.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    check_label_key(rule.key, f"{path}.key", errors)
    if not any_value:
        for i, value in enumerate(values):
            errors.extend(invalid(f"{path}.values[{i}]", value, m) for m in names.is_valid_label_value(value))


def _check_field_requirement(rule: NodeSelectorRequirement, path: str, errors: Errors) -> None:
    if rule.operator in ("In", "NotIn"):
        if len(rule.values) != 1:
            detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            errors.append(required(f"{path}.values", detail))
    else:
        errors.append(invalid(f"{path}.operator", rule.operator, "not a valid selector operator"))
    if rule.key != "metadata.name":
        errors.append(invalid(f"{path}.key", rule.key, "not a valid field selector key"))
        return
    for i, value in enumerate(rule.values):
        errors.extend(invalid(f"{path}.values[{i}]", value, m) for m in names.is_dns1123_subdomain(value))


def check_node_term(term: NodeSelectorTerm, any_value: bool, path: str, errors: Errors) -> None:
    """any_value: label values need not be valid, as in preferences, which may simply never match."""
    for i, rule in enumerate(term.matchExpressions):
        _check_requirement(rule, any_value, f"{path}.matchExpressions[{i}]", errors)
    for i, rule in enumerate(term.matchFields):
        _check_field_requirement(rule, f"{path}.matchFields[{i}]", errors)


def check_node_selector(selector: NodeSelector, path: str, errors: Errors) -> None:
    terms = selector.nodeSelectorTerms
    if not terms:
        errors.append(required(f"{path}.nodeSelectorTerms", "must have at least one node selector term"))
    for i, term in enumerate(terms):
        check_node_term(term, False, f"{path}.nodeSelectorTerms[{i}]", errors)


def check_affinity(affinity: Affinity, path: str, errors: Errors) -> None:
    if affinity.nodeAffinity is not None:
        _check_node_affinity(affinity.nodeAffinity, f"{path}.nodeAffinity", errors)
    for name, side in (("podAffinity", affinity.podAffinity), ("podAntiAffinity", affinity.podAntiAffinity)):
        if side is None:
            continue
        at = f"{path}.{name}.requiredDuringSchedulingIgnoredDuringExecution"
        for i, term in enumerate(side.requiredDuringSchedulingIgnoredDuringExecution):
            _check_pod_term(term, f"{at}[{i}]", errors)
        at = f"{path}.{name}.preferredDuringSchedulingIgnoredDuringExecution"
        _check_weighted(side.preferredDuringSchedulingIgnoredDuringExecution, at, errors)


def _check_node_affinity(affinity: NodeAffinity, path: str, errors: Errors) -> None:
    needed = affinity.requiredDuringSchedulingIgnoredDuringExecution
    if needed is not None:
        check_node_selector(needed, f"{path}.requiredDuringSchedulingIgnoredDuringExecution", errors)
    for i, wish in enumerate(affinity.preferredDuringSchedulingIgnoredDuringExecution):
        at = f"{path}.preferredDuringSchedulingIgnoredDuringExecution[{i}]"
        if not 1 <= wish.weight <= 100:
            errors.append(invalid(f"{at}.weight", wish.weight, "must be in the range 1-100"))
        check_node_term(wish.preference, True, f"{at}.preference", errors)


def _check_weighted(terms: Sequence[WeightedPodAffinityTerm], path: str, errors: Errors) -> None:
    for i, term in enumerate(terms):
        at = f"{path}[{i}]"
        if not 1 <= term.weight <= 100:
            errors.append(invalid(f"{at}.weight", term.weight, "must be in the range 1-100"))
        _check_pod_term(term.podAffinityTerm, f"{at}.podAffinityTerm", errors)


def _check_pod_term(term: PodAffinityTerm, path: str, errors: Errors) -> None:
    errors.extend(validate_label_selector(term.labelSelector, f"{path}.labelSelector"))
    errors.extend(validate_label_selector(term.namespaceSelector, f"{path}.namespaceSelector"))
    for name in term.namespaces:
        errors.extend(invalid(f"{path}.namespace", name, m) for m in names.is_dns1123_label(name))
    if term.matchLabelKeys or term.mismatchLabelKeys:
        _check_label_keys(term, path, errors)
    if not term.topologyKey:
        errors.append(required(f"{path}.topologyKey", "can not be empty"))
    check_label_key(term.topologyKey, f"{path}.topologyKey", errors)


def _check_label_keys(term: PodAffinityTerm, path: str, errors: Errors) -> None:
    selector = term.labelSelector
    for name, keys in (("matchLabelKeys", term.matchLabelKeys), ("mismatchLabelKeys", term.mismatchLabelKeys)):
        if keys and selector is None:
            errors.append(forbidden(f"{path}.{name}", "must not be specified when labelSelector is not set"))
        elif keys:
            for i, key in enumerate(keys):
                check_label_key(key, f"{path}.{name}[{i}]", errors)
    if selector is not None:
        # the strategy adds one expression per key; a second mention of the key is the user's
        positions = {key: i for i, key in enumerate(term.matchLabelKeys)}
        seen = set(selector.matchLabels)
        for rule in selector.matchExpressions:
            if rule.key in positions and rule.key in seen:
                errors.append(invalid(f"{path}[{positions[rule.key]}]", rule.key, _IN_BOTH))
            seen.add(rule.key)
    for i, key in enumerate(term.matchLabelKeys):
        if key in term.mismatchLabelKeys:
            detail = "exists in both matchLabelKeys and mismatchLabelKeys"
            errors.append(invalid(f"{path}.matchLabelKeys[{i}]", key, detail))


def check_taint_effect(effect: str, path: str, errors: Errors) -> None:
    if effect not in TAINT_EFFECTS:
        errors.append(not_supported(path, effect, TAINT_EFFECTS))


def check_tolerations(tolerations: Sequence[Toleration], path: str, errors: Errors) -> None:
    for i, toleration in enumerate(tolerations):
        key, operator, value = toleration.key, toleration.operator, toleration.value
        at = f"{path}[{i}]"
        if key:
            check_label_key(key, f"{at}.key", errors)
        elif operator != "Exists":
            detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            errors.append(invalid(f"{at}.operator", operator, detail))
        if toleration.tolerationSeconds is not None and toleration.effect != "NoExecute":
            detail = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            errors.append(invalid(f"{at}.effect", toleration.effect, detail))
        if operator in ("Equal", ""):
            messages = names.is_valid_label_value(value)
            if messages:
                errors.append(invalid(f"{at}.operator", value, ";".join(messages)))
        elif operator == "Exists":
            if value:
                errors.append(invalid(f"{at}.operator", value, "value must be empty when `operator` is 'Exists'"))
        else:
            errors.append(not_supported(f"{at}.operator", operator, ("Equal", "Exists")))
        if toleration.effect:
            check_taint_effect(toleration.effect, f"{at}.effect", errors)


def check_spread_constraints(constraints: Sequence[TopologySpreadConstraint], path: str, errors: Errors) -> None:
    for i, rule in enumerate(constraints):
        at = f"{path}[{i}]"
        if rule.maxSkew <= 0:
            errors.append(invalid(f"{at}.maxSkew", rule.maxSkew, _NOT_POSITIVE))
        if not rule.topologyKey:
            errors.append(required(f"{at}.topologyKey", "can not be empty"))
        actions = ("DoNotSchedule", "ScheduleAnyway")
        if rule.whenUnsatisfiable not in actions:
            errors.append(not_supported(f"{at}.whenUnsatisfiable", rule.whenUnsatisfiable, actions))
        pair = (rule.topologyKey, rule.whenUnsatisfiable)
        if any((other.topologyKey, other.whenUnsatisfiable) == pair for other in constraints[i + 1 :]):
            shown = f"{{{pair[0]}, {pair[1]}}}"
            errors.append(duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", shown))
        if rule.minDomains is not None:
            if rule.minDomains <= 0:
                errors.append(invalid(f"{at}.minDomains", rule.minDomains, _NOT_POSITIVE))
            if rule.whenUnsatisfiable != "DoNotSchedule":
                detail = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {rule.whenUnsatisfiable}"
                errors.append(invalid(f"{at}.minDomains", rule.minDomains, detail))
        for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            policy = getattr(rule, name)
            if policy is not None and policy not in ("Honor", "Ignore"):
                errors.append(not_supported(f"{at}.{name}", policy, ("Honor", "Ignore")))
        if rule.matchLabelKeys:
            _check_spread_keys(rule.matchLabelKeys, rule.labelSelector, f"{at}.matchLabelKeys", errors)
        errors.extend(validate_label_selector(rule.labelSelector, f"{at}.labelSelector"))


def _check_spread_keys(keys: Sequence[str], selector: LabelSelector | None, path: str, errors: Errors) -> None:
    if selector is None:
        errors.append(forbidden(path, "must not be specified when labelSelector is not set"))
    for i, key in enumerate(keys):
        check_label_key(key, f"{path}[{i}]", errors)
    if selector is None:
        return
    # the strategy adds one expression per key; a second mention of the key is the user's
    positions = {key: i for i, key in enumerate(keys)}
    seen = set(selector.matchLabels)
    for rule in selector.matchExpressions:
        if rule.key in positions and rule.key in seen:
            errors.append(invalid(f"{path}[{positions[rule.key]}]", rule.key, _IN_BOTH))
        seen.add(rule.key)


def check_scheduling_gates(gates: Sequence[PodSchedulingGate], path: str, errors: Errors) -> None:
    seen: set[str] = set()
    for i, gate in enumerate(gates):
        check_label_key(gate.name, f"{path}[{i}]", errors)
        if gate.name in seen:
            errors.append(duplicate(f"{path}[{i}]", gate.name))
        seen.add(gate.name)
