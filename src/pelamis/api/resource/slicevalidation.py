"""Checks of a ResourceSlice's devices: attributes, capacities and how they can be shared, counters, node resources."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pelamis.api.check import Errors, check_immutable, check_text
from pelamis.api.constraint import check_count, check_identifier, check_needed, check_qualified, check_unique
from pelamis.api.core.pod.validate_affinity import check_node_selector
from pelamis.api.resource.devicevalidation import (
    check_binding,
    check_driver,
    check_items,
    check_pool,
    check_skipped,
    check_taint,
)
from pelamis.base import names, quantity
from pelamis.base.errors import duplicate, forbidden, invalid, not_found, required, too_long, too_many

_MOST_DEVICES, _MOST_DEVICES_ADVANCED = 128, 64
_MOST_NAMES, _MOST_VALUES, _LONGEST_VALUE = 32, 48, 64
_MOST_TAINTS, _MOST_COUNTER_SETS, _MOST_COUNTERS, _MOST_CONSUMPTIONS = 16, 8, 32, 2
_MOST_OPTIONS = 10
_MOST_INT64 = 2**63 - 1
_LISTS = ("ints", "bools", "strings", "versions")
_SINGLE = ("int_", "bool_", "string", "version")
_PLACES = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")
_NODE_RESOURCES = ("cpu", "memory", "ephemeral-storage")
_NUMBER = r"(0|[1-9]\d*)"
_PRE = r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_BUILD = "[0-9a-zA-Z-]+"
_SEMVER = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_PRE}(\.{_PRE})*)?(\+{_BUILD}(\.{_BUILD})*)?",
    re.ASCII,
)


def _check_name(name: str, path: str) -> Errors:
    """Of an attribute or a capacity: an identifier, perhaps with a driver's name before it."""
    parts = name.split("/")
    if len(parts) == 1:
        return check_identifier(name, path)
    if len(parts) > 2:
        return [invalid(path, name, "must not contain more than one slash")]
    domain, identifier = parts
    errors = check_driver(domain, path) if domain else [invalid(path, "", "the domain must not be empty")]
    if not identifier:
        return [*errors, invalid(path, "", "the name must not be empty")]
    return errors + check_identifier(identifier, path)


def _key(name: str) -> str:
    """As it is shown in a path: a name that is too long loses its middle."""
    most = 63 + 1 + 32
    if len(name) <= most:
        return name
    rest = most - 3
    return name[: (rest + 1) // 2] + "..." + name[len(name) - rest // 2 :]


def _check_version(value: str, path: str) -> Errors:
    errors: Errors = []
    if not _SEMVER.fullmatch(value):
        errors.append(invalid(path, value, "must be a string compatible with semver.org spec 2.0.0"))
    return [*errors, too_long(path, _LONGEST_VALUE)] if len(value) > _LONGEST_VALUE else errors


def _check_string(value: str, path: str) -> Errors:
    return [too_long(path, _LONGEST_VALUE)] if len(value.encode()) > _LONGEST_VALUE else []


def _check_attribute(attribute: Any, path: str) -> Errors:
    errors: Errors = []
    if attribute.string is not None:
        errors += _check_string(attribute.string, f"{path}.string")
    if attribute.version is not None:
        errors += _check_version(attribute.version, f"{path}.version")
    for i, item in enumerate(attribute.strings):
        errors += _check_string(item, f"{path}.strings[{i}]")
    for i, item in enumerate(attribute.versions):
        errors += _check_version(item, f"{path}.versions[{i}]")
    given = sum(getattr(attribute, n) is not None for n in _SINGLE) + sum(bool(getattr(attribute, n)) for n in _LISTS)
    if given == 0:
        errors.append(invalid(path, "", "exactly one value must be specified"))
    elif given > 1:
        errors.append(invalid(path, attribute, "exactly one value must be specified"))
    return errors


def _values(attribute: Any) -> int:
    return sum(len(getattr(attribute, name)) for name in _LISTS) or 1


# -- capacities that can be shared ------------------------------------------------------------------------------------


def _check_capacity(capacity: Any, shared: bool, path: str) -> Errors:
    policy, at = capacity.requestPolicy, f"{path}.requestPolicy"
    if policy is None:
        return []
    if not shared:
        return [forbidden(at, "allowMultipleAllocations must be true")]
    if policy.validValues and policy.validRange is not None:
        detail = 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'
        return [forbidden(at, detail)]
    if policy.validValues:
        if policy.default is None:
            return [required(f"{at}.default", "required when validValues is defined")]
        return _check_options(policy.default, capacity.value, policy.validValues, f"{at}.validValues")
    if policy.validRange is not None:
        if policy.default is None:
            return [required(f"{at}.default", "required when validRange is defined")]
        return _check_range(policy.default, capacity.value, policy.validRange, f"{at}.validRange")
    return []


def _check_options(default: str, whole: str, options: tuple[str, ...], path: str) -> Errors:
    errors: Errors = []
    for i in range(1, len(options)):
        if quantity.compare(options[i - 1], options[i]) > 0:
            errors.append(invalid(f"{path}[{i}]", options[i], "values must be sorted in ascending order"))
    if len(options) > _MOST_OPTIONS:
        errors.append(too_many(path, len(options), _MOST_OPTIONS))
    else:
        for i, option in enumerate(options):
            if quantity.compare(option, whole) > 0:
                errors.append(invalid(f"{path}[{i}]", option, f"option is larger than capacity value: {whole}"))
        for i, option in enumerate(options):
            if any(quantity.equal(option, other) for other in options[:i]):
                errors.append(duplicate(f"{path}[{i}]", option))
    if not any(quantity.equal(option, default) for option in options):
        detail = "default value is not valid according to the requestPolicy"
        errors.append(invalid(path, default, detail))
    return errors


def _check_range(default: str, whole: str, span: Any, path: str) -> Errors:
    if span.min is None:
        return [required(f"{path}.min", "required when validRange is defined")]
    errors: Errors = []
    compare = quantity.compare
    if compare(span.min, whole) > 0:
        errors.append(invalid(f"{path}.min", span.min, f"min is larger than capacity value: {whole}"))
    if compare(default, span.min) < 0:
        errors.append(invalid(f"{path}.default", default, f"default is less than min: {span.min}"))
    if span.max is not None:
        if compare(span.min, span.max) > 0:
            errors.append(invalid(f"{path}.max", span.min, f"min is larger than max: {span.max}"))
        if compare(span.max, whole) > 0:
            errors.append(invalid(f"{path}.max", span.max, f"max is larger than capacity value: {whole}"))
        if compare(default, span.max) > 0:
            errors.append(invalid(f"{path}.default", default, f"default is more than max: {span.max}"))
    return errors + (_check_step(default, whole, span, path) if span.step is not None else [])


def _check_step(default: str, whole: str, span: Any, path: str) -> Errors:
    at, step = f"{path}.step", span.step
    if quantity.sign(step) <= 0:
        return [invalid(at, step, "must be greater than zero")]
    errors: Errors = []
    first = quantity.add(span.min, step)
    if quantity.compare(first, whole) > 0:
        errors.append(invalid(at, step, f"one step {first} is larger than capacity value: {whole}"))
    numbers = {"default": default, "min": span.min, "max": span.max, "step": step}
    given = {name: text for name, text in numbers.items() if text is not None}
    milli = any(quantity.milli(text) % 1000 for text in given.values())
    wrong: Errors = []
    for name, text in given.items():
        if milli and not quantity.equal(text, quantity.from_milli(quantity.milli(text))):
            wrong.append(invalid(f"{path}.{name}", text, "value cannot be represented as a milli value"))
        elif not milli and quantity.sign(text) < 0:
            wrong.append(invalid(f"{path}.{name}", text, "must be greater than or equal to 0"))
        elif not milli and quantity.value(text) > _MOST_INT64:
            wrong.append(invalid(f"{path}.{name}", text, f"must not be larger than {_MOST_INT64}"))
    if wrong:
        return errors + wrong
    least, width = quantity.milli(span.min), quantity.milli(step)
    for text in (default, *([span.max] if span.max is not None else [])):
        if (quantity.milli(text) - least) % width:
            detail = f"value is not a multiple of a given step ({step}) from ({span.min})"
            errors.append(invalid(at, text, detail))
    return errors


# -- counters and node resources --------------------------------------------------------------------------------------


def _check_counters(counters: Mapping[str, Any], path: str) -> Errors:
    if not counters:
        return [required(path)]
    if len(counters) > _MOST_COUNTERS:
        return [too_many(path, len(counters), _MOST_COUNTERS)]
    return [e for name in sorted(counters) for e in check_text(names.is_dns1123_label, name, path)]


def _check_counter_set(counters: Any, path: str) -> Errors:
    errors = check_needed(names.is_dns1123_label, counters.name, f"{path}.name")
    return errors + _check_counters(counters.counters, f"{path}.counters")


def _check_consumption(taken: Any, path: str) -> Errors:
    errors = check_needed(names.is_dns1123_label, taken.counterSet, f"{path}.counterSet")
    return errors + _check_counters(taken.counters, f"{path}.counters")


def _check_node_resource(name: str, one: Any, capacities: Mapping[str, Any], path: str) -> Errors:
    errors: Errors = []
    if name not in _NODE_RESOURCES and not name.startswith("hugepages-"):
        errors.append(invalid(path, name, "must be a node allocatable resource name"))
    if one.mapping is None and one.overhead is None:
        errors.append(required(path, "at least one of mapping or overhead must be set"))
    if one.mapping is not None:
        errors += _check_mapping(one.mapping, capacities, f"{path}.mapping")
    overhead, at = one.overhead, f"{path}.overhead"
    if overhead is None:
        return errors
    if overhead.perPod is None and overhead.perContainer is None:
        return [*errors, invalid(at, "", "at least one of perPod or perContainer must be set")]
    for field in ("perPod", "perContainer"):
        amount = getattr(overhead, field)
        if amount is not None and quantity.sign(amount) < 0:
            errors.append(invalid(f"{at}.{field}", amount, "must be non-negative"))
    return errors


def _check_mapping(mapping: Any, capacities: Mapping[str, Any], path: str) -> Errors:
    errors: Errors = []
    key, factor, each = mapping.capacityKey, mapping.capacityMultiplier, mapping.deviceMultiplier
    if key is not None:
        if not key:
            errors.append(invalid(f"{path}.capacityKey", "", "capacityKey must not be an empty string"))
        elif key not in capacities:
            errors.append(not_found(f"{path}.capacityKey", key))
        if factor is None:
            detail = "capacityMultiplier is required when capacityKey is set"
            errors.append(required(f"{path}.capacityMultiplier", detail))
        elif quantity.sign(factor) <= 0:
            errors.append(invalid(f"{path}.capacityMultiplier", factor, "must be positive"))
    if each is not None and quantity.sign(each) <= 0:
        errors.append(invalid(f"{path}.deviceMultiplier", each, "must be positive"))
    if factor is not None and key is None:
        errors.append(required(f"{path}.capacityKey", "capacityKey is required when capacityMultiplier is set"))
    given = [name for name in ("capacityKey", "deviceMultiplier") if getattr(mapping, name) is not None]
    if not given:
        errors.append(invalid(path, "", "must specify one of: `capacityKey`, `deviceMultiplier`"))
    elif len(given) > 1:
        detail = "must specify exactly one of: `capacityKey`, `deviceMultiplier`"
        errors.append(invalid(path, "{" + ", ".join(given) + "}", detail))
    return errors


# -- devices and the slice --------------------------------------------------------------------------------------------


def _check_place(owner: Any, places: tuple[str, ...], path: str) -> tuple[list[str], Errors]:
    """Which of them say from where devices can be reached, and what is wrong with them."""
    given: list[str] = []
    errors: Errors = []
    whole = "perDeviceNodeSelection" in places
    if owner.nodeName is not None:
        if owner.nodeName:
            given.append("`nodeName`")
            errors += check_text(names.is_dns1123_subdomain, owner.nodeName, f"{path}.nodeName")
        else:
            detail = "must be either unset or set to a non-empty string" if whole else "must not be empty"
            errors.append(invalid(f"{path}.nodeName", "", detail))
    if owner.nodeSelector is not None:
        given.append("`nodeSelector`")
        check_node_selector(owner.nodeSelector, f"{path}.nodeSelector", errors)
        terms = owner.nodeSelector.nodeSelectorTerms
        if whole and len(terms) != 1:
            at = f"{path}.nodeSelector.nodeSelectorTerms"
            errors.append(invalid(at, terms, "must have exactly one node selector term"))
    for name in places[2:]:
        if getattr(owner, name):
            given.append(f"`{name}`")
        elif getattr(owner, name) is not None:
            errors.append(invalid(f"{path}.{name}", False, "must be either unset or set to true"))
    return given, errors


def _check_device_place(device: Any, path: str, per_device: bool) -> Errors:
    if not per_device:
        if all(getattr(device, name) is None for name in _PLACES[:3]):
            return []
        detail = (
            "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true "
            "in the ResourceSlice spec"
        )
        return [invalid(path, None, detail)]
    given, errors = _check_place(device, _PLACES[:3], path)
    detail = (
        "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set "
        "to true in the ResourceSlice spec"
    )
    if not given:
        errors.append(required(path, detail))
    elif len(given) > 1:
        errors.append(invalid(path, "{" + ", ".join(given) + "}", detail))
    return errors


def _check_device(device: Any, old: Any, path: str, per_device: bool) -> Errors:
    errors = check_text(names.is_dns1123_label, device.name, f"{path}.name")
    count = len(device.attributes) + len(device.capacity)
    if count > _MOST_NAMES:
        detail = f"the total number of attributes and capacities must not exceed {_MOST_NAMES}"
        errors.append(invalid(path, count, detail))
    values = sum(map(_values, device.attributes.values()))
    if values > _MOST_VALUES:
        errors.append(invalid(path, values, f"the total number of attribute values must not exceed {_MOST_VALUES}"))
    for name, attribute in sorted(device.attributes.items()):
        errors += _check_name(name, f"{path}.attributes")
        errors += _check_attribute(attribute, f"{path}.attributes[{_key(name)}]")
    if old is None or old.capacity != device.capacity:
        shared = bool(device.allowMultipleAllocations)
        for name, capacity in sorted(device.capacity.items()):
            errors += _check_name(name, f"{path}.capacity")
            errors += _check_capacity(capacity, shared, f"{path}.capacity[{_key(name)}]")
    if old is None or old.taints != device.taints:
        errors += check_items(device.taints, _MOST_TAINTS, f"{path}.taints", check_taint)
    at = f"{path}.consumesCounters"
    errors += check_items(device.consumesCounters, _MOST_CONSUMPTIONS, at, _check_consumption)
    errors += check_unique(device.consumesCounters, at, key=lambda taken: taken.counterSet)
    errors += _check_device_place(device, path, per_device)
    errors += check_binding(device.bindingConditions, device.bindingFailureConditions, path)
    for name, one in sorted(device.nodeAllocatableResources.items()):
        errors += _check_node_resource(name, one, device.capacity, f"{path}.nodeAllocatableResources[{name}]")
    return errors


def _check_partition(spec: Any) -> Errors:
    """The attribute that tells types of partitions apart: each device that draws from counters has it, as a text."""
    name, path = spec.partitionTypeAttribute, "spec.partitionTypeAttribute"
    wrong = check_qualified(name, path, full=True)
    if not any(d.consumesCounters for d in spec.devices):
        detail = "may only be set on a slice which declares devices that consume counters"
        return [*wrong, invalid(path, name, detail)]
    if wrong:
        return wrong
    errors: Errors = []
    bare = name.removeprefix(f"{spec.driver}/")
    for i, device in enumerate(spec.devices):
        if not device.consumesCounters:
            continue
        at = f"spec.devices[{i}].attributes[{name}]"
        attribute = device.attributes.get(name) or device.attributes.get(bare)
        if attribute is None:
            detail = "device consumes counters and `partitionTypeAttribute` names this attribute, so it must be set"
            errors.append(required(at, detail))
        elif attribute.string is None:
            detail = "must be a string value because `partitionTypeAttribute` names this attribute"
            errors.append(invalid(at, attribute, detail))
    return errors


def _is_advanced(device: Any) -> bool:
    lists = any(getattr(a, name) for a in device.attributes.values() for name in _LISTS)
    return bool(device.taints or device.consumesCounters or lists)


def validate_slice(spec: Any, old: Any = None) -> Errors:
    """old: the spec before; None at creation."""
    errors = check_driver(spec.driver, "spec.driver")
    errors += check_pool(spec.pool.name, "spec.pool.name")
    if spec.pool.resourceSliceCount <= 0:
        at = "spec.pool.resourceSliceCount"
        errors.append(invalid(at, spec.pool.resourceSliceCount, "must be greater than zero"))
    if spec.pool.generation < 0:
        detail = "must be greater than or equal to zero"
        errors.append(invalid("spec.pool.generation", spec.pool.generation, detail))
    if old is not None:
        errors += check_immutable(spec.pool.name, old.pool.name, "spec.pool.name")
        errors += check_immutable(spec.driver, old.driver, "spec.driver")
        errors += check_immutable(spec.nodeName, old.nodeName, "spec.nodeName")
    given, wrong = _check_place(spec, _PLACES, "spec")
    errors += wrong
    detail = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
    if not given:
        errors.append(required("spec", detail))
    elif len(given) > 1:
        errors.append(invalid("spec", "{" + ", ".join(given) + "}", f"{detail}, but multiple fields are set"))
    if spec.sharedCounters and spec.devices:
        errors.append(invalid("spec", "", "only one of `sharedCounters` or `devices` is allowed"))
    most = _MOST_DEVICES_ADVANCED if any(map(_is_advanced, spec.devices)) else _MOST_DEVICES
    errors += check_count(spec.devices, "spec.devices", most)
    if len(spec.devices) <= most:
        before = {d.name: d for d in old.devices} if old is not None else {}
        for i, device in enumerate(spec.devices):
            at = f"spec.devices[{i}]"
            errors += _check_device(device, before.get(device.name), at, bool(spec.perDeviceNodeSelection))
        errors += check_unique(spec.devices, "spec.devices")
    errors += check_items(spec.sharedCounters, _MOST_COUNTER_SETS, "spec.sharedCounters", _check_counter_set)
    errors += check_unique(spec.sharedCounters, "spec.sharedCounters")
    if spec.partitionTypeAttribute is not None:
        errors += _check_partition(spec)
    return errors + check_skipped(spec.skipNodeOperations, "spec.skipNodeOperations")
