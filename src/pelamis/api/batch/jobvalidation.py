"""Validation of Jobs and of the job templates of CronJobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from pelamis.api.apps.template import MISMATCH, compile_selector
from pelamis.api.batch import indexes
from pelamis.api.check import (
    Errors,
    as_go,
    check_choice,
    check_immutable,
    check_nonnegative,
    check_required_choice,
    check_text,
)
from pelamis.api.core.pod.affinity import Affinity
from pelamis.api.core.pod.validate import validate_pod_template
from pelamis.api.metavalidate import validate_label_selector
from pelamis.base import clock, names
from pelamis.base.errors import OMITTED, FieldError, duplicate, invalid, not_supported, required, too_long, too_many

if TYPE_CHECKING:
    from pelamis.api.batch.job import (
        Job,
        JobSpec,
        JobStatus,
        PodFailurePolicyOnExitCodesRequirement,
        PodFailurePolicyRule,
        SuccessPolicyRule,
    )
    from pelamis.api.core.pod.container import Container
    from pelamis.api.core.pod.spec import PodSpec
    from pelamis.api.core.pod.template import PodTemplateSpec

CONTROLLER_UID, JOB_NAME = "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"
LEGACY_CONTROLLER_UID, LEGACY_JOB_NAME = "controller-uid", "job-name"
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_STATUSES = ("False", "True", "Unknown")
_MOST_INDEXED_PARALLELISM = _MOST_FAILED_INDEXES = _MANY_COMPLETIONS = 100_000
_MOST_WHEN_MANY = 10_000
_MOST_RULES, _MOST_PATTERNS, _MOST_EXIT_CODES = 20, 20, 255
_LONGEST_INDEXES = 64 * 1024


def _of(path: str, detail: str) -> FieldError:
    """An invalid value that the message does not show, because it would be too long."""
    return FieldError("FieldValueInvalid", path, detail, OMITTED)


def _quoted(values: tuple[str, ...]) -> str:
    return "valid values: [" + " ".join(f'"{v}"' for v in values) + "]"


def has_condition(obj: Job, type: str) -> bool:
    return any(c.type == type and c.status == "True" for c in obj.status.conditions)


def _validate_generated(obj: Job) -> Errors:
    """The selector and labels that the server made are there and are the Job's own."""
    if obj.spec.manualSelector or obj.spec.selector is None:
        return []
    errors: Errors = []
    uid, name = obj.metadata.uid, obj.metadata.name
    if not uid:
        errors.append(required("metadata.uid"))
    expected = {LEGACY_CONTROLLER_UID: uid, LEGACY_JOB_NAME: name, CONTROLLER_UID: uid, JOB_NAME: name}
    labels = obj.spec.template.metadata.labels
    for key, value in expected.items():
        path = "spec.template.metadata.labels"
        if key not in labels:
            errors.append(required(f"{path}[{key}]", f"must be '{value}'"))
        elif labels[key] != value:
            errors.append(invalid(f"{path}[{key}]", labels, f"must be '{value}'"))
    selector = compile_selector(obj.spec.selector)
    if selector is not None and not selector.matches(expected):
        errors.append(invalid("spec.selector", obj.spec.selector, "`selector` not auto-generated"))
    return errors


def validate(obj: Job) -> Errors:
    errors = _validate_generated(obj)
    errors += _validate_selected_spec(obj.spec, "spec")
    completions = obj.spec.completions
    if obj.spec.completionMode == "Indexed" and completions is not None and completions > 0:
        longest = f"{obj.metadata.name}-{completions - 1}"
        if names.is_dns1123_label(longest):
            detail = f"will not able to create pod with invalid DNS label: {longest}"
            errors.append(invalid("metadata.name", obj.metadata.name, detail))
    return errors


def _validate_selected_spec(spec: JobSpec, path: str) -> Errors:
    errors = validate_job_spec(spec, path)
    if spec.selector is None:
        errors.append(required(f"{path}.selector"))
    else:
        errors += validate_label_selector(spec.selector, f"{path}.selector")
    selector = compile_selector(spec.selector)
    labels = spec.template.metadata.labels
    if selector is not None and not selector.matches(labels):
        errors.append(invalid(f"{path}.template.metadata.labels", labels, MISMATCH))
    return errors


def validate_job_spec(spec: JobSpec, path: str) -> Errors:
    """All but the selector, which a job template may not have."""
    errors: Errors = []
    for name in (
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ):
        errors += check_nonnegative(getattr(spec, name), f"{path}.{name}")
    if spec.maxFailedIndexes is not None and spec.backoffLimitPerIndex is None:
        errors.append(required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    if spec.managedBy is not None:
        errors += check_text(names.is_domain_prefixed_path, spec.managedBy, f"{path}.managedBy")
        if len(spec.managedBy.encode()) > 63:
            errors.append(too_long(f"{path}.managedBy", 63))
    if spec.completionMode is not None:
        errors += check_choice(spec.completionMode, f"{path}.completionMode", ("NonIndexed", "Indexed"))
    if spec.completionMode == "Indexed":
        errors += _validate_indexed(spec, path)
    elif spec.completionMode in (None, "NonIndexed"):
        for name in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if getattr(spec, name) is not None:
                errors.append(invalid(f"{path}.{name}", getattr(spec, name), "requires indexed completion mode"))
    if spec.podFailurePolicy is not None:
        errors += _validate_failure_policy(spec, f"{path}.podFailurePolicy.rules")
    if spec.successPolicy is not None:
        if spec.completionMode != "Indexed":
            detail = "requires indexed completion mode"
            errors.append(invalid(f"{path}.successPolicy", as_go(spec.successPolicy), detail))
        else:
            errors += _validate_success_policy(spec, f"{path}.successPolicy.rules")
    if spec.podReplacementPolicy is not None:
        choices = ("Failed",) if spec.podFailurePolicy is not None else ("Failed", "TerminatingOrFailed")
        errors += check_choice(spec.podReplacementPolicy, f"{path}.podReplacementPolicy", choices)
    errors += validate_pod_template(spec.template, f"{path}.template")
    return errors + _validate_restart_policy(spec, f"{path}.template.spec.restartPolicy")


def _validate_restart_policy(spec: JobSpec, path: str) -> Errors:
    policy = spec.template.spec.restartPolicy
    if policy in ("", "Always"):
        return [required(path, 'valid values: "OnFailure", "Never"')]
    if policy not in ("OnFailure", "Never"):
        return [not_supported(path, policy, ("OnFailure", "Never"))]
    if spec.podFailurePolicy is not None and policy != "Never":
        return [invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified')]
    return []


def _validate_indexed(spec: JobSpec, path: str) -> Errors:
    errors: Errors = []
    completions, parallelism, failed = spec.completions, spec.parallelism, spec.maxFailedIndexes
    if completions is None:
        errors.append(required(f"{path}.completions", "when completion mode is Indexed"))
    if parallelism is not None and parallelism > _MOST_INDEXED_PARALLELISM:
        detail = f"must be less than or equal to {_MOST_INDEXED_PARALLELISM} when completion mode is Indexed"
        errors.append(invalid(f"{path}.parallelism", parallelism, detail))
    where = f"{path}.maxFailedIndexes"
    if completions is not None and failed is not None and failed > completions:
        errors.append(invalid(where, failed, "must be less than or equal to completions"))
    if failed is not None and failed > _MOST_FAILED_INDEXES:
        errors.append(invalid(where, failed, f"must be less than or equal to {_MOST_FAILED_INDEXES}"))
    if completions is None or completions <= _MANY_COMPLETIONS or spec.backoffLimitPerIndex is None:
        return errors
    detail = (
        f"must be less than or equal to {_MOST_WHEN_MANY} when completions are above {_MANY_COMPLETIONS} "
        "and used with backoff limit per index"
    )
    if failed is None:
        errors.append(required(where, f"must be specified when completions is above {_MANY_COMPLETIONS}"))
    if parallelism is not None and parallelism > _MOST_WHEN_MANY:
        errors.append(invalid(f"{path}.parallelism", parallelism, detail))
    if failed is not None and failed > _MOST_WHEN_MANY:
        errors.append(invalid(where, failed, detail))
    return errors


def _validate_failure_policy(spec: JobSpec, path: str) -> Errors:
    assert spec.podFailurePolicy is not None
    rules = spec.podFailurePolicy.rules
    errors: Errors = []
    if len(rules) > _MOST_RULES:
        errors.append(too_many(path, len(rules), _MOST_RULES))
    pod = spec.template.spec
    containers = {c.name for c in (*pod.containers, *pod.initContainers)}
    for i, rule in enumerate(rules):
        errors += _validate_failure_rule(spec, rule, f"{path}[{i}]", containers)
    return errors


def _validate_failure_rule(spec: JobSpec, rule: PodFailurePolicyRule, path: str, containers: set[str]) -> Errors:
    errors: Errors = []
    if rule.action == "FailIndex":
        if spec.backoffLimitPerIndex is None:
            errors.append(invalid(f"{path}.action", rule.action, "requires the backoffLimitPerIndex to be set"))
    else:
        errors += check_required_choice(rule.action, f"{path}.action", _ACTIONS, _quoted(_ACTIONS))
    if rule.onExitCodes is not None:
        errors += _validate_exit_codes(rule.onExitCodes, f"{path}.onExitCodes", containers)
    patterns, where = rule.onPodConditions, f"{path}.onPodConditions"
    if len(patterns) > _MOST_PATTERNS:
        errors.append(too_many(where, len(patterns), _MOST_PATTERNS))
    for i, pattern in enumerate(patterns):
        errors += check_text(names.is_qualified_name, pattern.type, f"{where}[{i}].type")
        errors += check_required_choice(pattern.status, f"{where}[{i}].status", _STATUSES, _quoted(_STATUSES))
    if rule.onExitCodes is not None and patterns:
        errors.append(_of(path, "specifying both OnExitCodes and OnPodConditions is not supported"))
    if rule.onExitCodes is None and not patterns:
        errors.append(_of(path, "specifying one of OnExitCodes and OnPodConditions is required"))
    return errors


def _validate_exit_codes(on: PodFailurePolicyOnExitCodesRequirement, path: str, containers: set[str]) -> Errors:
    choices = ("In", "NotIn")
    errors = check_required_choice(on.operator, f"{path}.operator", choices, _quoted(choices))
    if on.containerName is not None and on.containerName not in containers:
        detail = "must be one of the container or initContainer names in the pod template"
        errors.append(invalid(f"{path}.containerName", on.containerName, detail))
    where = f"{path}.values"
    if not on.values:
        errors.append(invalid(where, on.values or None, "at least one value is required"))
    elif len(on.values) > _MOST_EXIT_CODES:
        errors.append(too_many(where, len(on.values), _MOST_EXIT_CODES))
    seen: set[int] = set()
    for i, value in enumerate(on.values):
        if on.operator == "In" and value == 0:
            errors.append(invalid(f"{where}[{i}]", value, "must not be 0 for the In operator"))
        if value in seen:
            errors.append(duplicate(f"{where}[{i}]", value))
        seen.add(value)
    if any(a > b for a, b in zip(on.values, on.values[1:], strict=False)):
        errors.append(invalid(where, on.values, "must be ordered"))
    return errors


def _validate_success_policy(spec: JobSpec, path: str) -> Errors:
    assert spec.successPolicy is not None
    rules = spec.successPolicy.rules
    errors: Errors = []
    if not rules:
        errors.append(required(path, "at least one rules must be specified when the successPolicy is specified"))
    if len(rules) > _MOST_RULES:
        errors.append(too_many(path, len(rules), _MOST_RULES))
    for i, rule in enumerate(rules):
        errors += _validate_success_rule(rule, spec.completions or 0, f"{path}[{i}]")
    return errors


def _validate_success_rule(rule: SuccessPolicyRule, completions: int, path: str) -> Errors:
    errors: Errors = []
    wanted, chosen = rule.succeededCount, rule.succeededIndexes
    if wanted is None and chosen is None:
        errors.append(required(path, "at least one of succeededCount or succeededIndexes must be specified"))
    total = 0
    if chosen is not None:
        where = f"{path}.succeededIndexes"
        if len(chosen) > _LONGEST_INDEXES:
            errors.append(too_long(where, _LONGEST_INDEXES))
        try:
            total = indexes.count(indexes.parse_intervals(chosen, completions))
        except indexes.IndexesError as error:
            errors.append(invalid(where, chosen, f"error parsing succeededIndexes: {error}"))
    if wanted is not None:
        where = f"{path}.succeededCount"
        errors += check_nonnegative(wanted, where)
        if wanted > completions:
            detail = f"must be less than or equal to {completions} (the number of specified completions)"
            errors.append(invalid(where, wanted, detail))
        if chosen is not None and wanted > total:
            detail = (
                f"must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
            )
            errors.append(invalid(where, wanted, detail))
    return errors


def validate_update(obj: Job, old: Job) -> Errors:
    new, was = obj.spec, old.spec
    errors = _validate_selected_spec(new, "spec")
    if new.completionMode != "Indexed":
        errors += check_immutable(new.completions, was.completions, "spec.completions")
    elif new.completions is not None and new.completions not in (was.completions, new.parallelism):
        detail = "can only be modified in tandem with spec.parallelism"
        errors.append(invalid("spec.completions", new.completions, detail))
    errors += check_immutable(new.selector, was.selector, "spec.selector")
    if _may_be_shaped(old):
        spec = _resized(new.template.spec, _adapt(new.template, was.template).spec)
        errors += check_immutable(new.template.spec, spec, "spec.template.spec")
    else:
        errors += check_immutable(new.template, was.template, "spec.template")
    for name in ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"):
        errors += check_immutable(getattr(new, name), getattr(was, name), f"spec.{name}")
    return errors


def _may_be_shaped(old: Job) -> bool:
    """While a Job is suspended and none of its pods is left, where they run and what they get may still be changed."""
    stopped = old.status.startTime is None or any(
        c.type == "Suspended" and c.status == "True" for c in old.status.conditions
    )
    return bool(old.spec.suspend) and stopped and not old.status.active


def _resized(new: PodSpec, was: PodSpec) -> PodSpec:
    """The old pod with the resources of the new one's containers."""

    def containers(new: Sequence[Container], was: Sequence[Container]) -> tuple[Container, ...]:
        if len(new) != len(was):
            return tuple(was)
        return tuple(
            msgspec.structs.replace(w, resources=n.resources) if n.name == w.name else w
            for n, w in zip(new, was, strict=True)
        )

    return msgspec.structs.replace(
        was,
        containers=containers(new.containers, was.containers),
        initContainers=containers(new.initContainers, was.initContainers),
    )


def _adapt(new: PodTemplateSpec, was: PodTemplateSpec) -> PodTemplateSpec:
    """The old template with the scheduling directives of the new one."""
    mine, theirs = was.spec.affinity, new.spec.affinity
    if theirs is not None:
        mine = msgspec.structs.replace(mine or Affinity(), nodeAffinity=theirs.nodeAffinity)
    elif mine is not None:
        rest = msgspec.structs.replace(mine, nodeAffinity=None)
        mine = None if rest == Affinity() else rest
    spec = msgspec.structs.replace(
        was.spec,
        affinity=mine,
        nodeSelector=new.spec.nodeSelector,
        tolerations=new.spec.tolerations,
        schedulingGates=new.spec.schedulingGates,
    )
    metadata = msgspec.structs.replace(was.metadata, annotations=new.metadata.annotations, labels=new.metadata.labels)
    return msgspec.structs.replace(was, spec=spec, metadata=metadata)


def validate_status_update(obj: Job, old: Job) -> Errors:
    """The invariants of a status, each only where this update breaks it: an older object may go on as it was."""
    errors = _validate_counts(obj.status)
    if obj.status != old.status:
        before = _broken(old)
        errors += [e for e in _broken(obj) if e not in before]
    errors += _validate_transition(obj, old)
    return errors


def _validate_counts(status: JobStatus) -> Errors:
    errors: Errors = []
    for name in ("active", "succeeded", "failed", "ready", "terminating"):
        errors += check_nonnegative(getattr(status, name), f"status.{name}")
    uncounted = status.uncountedTerminatedPods
    seen: set[str] = set()
    for name, uids in (("succeeded", uncounted.succeeded), ("failed", uncounted.failed)) if uncounted else ():
        for i, uid in enumerate(uids):
            path = f"status.uncountedTerminatedPods.{name}[{i}]"
            if not uid:
                errors.append(invalid(path, uid, "must not be empty"))
            elif uid in seen:
                errors.append(duplicate(path, uid))
            seen.add(uid)
    return errors


def _broken(obj: Job) -> Errors:
    spec, status = obj.spec, obj.status
    complete, failed = has_condition(obj, "Complete"), has_condition(obj, "Failed")
    target, met = has_condition(obj, "FailureTarget"), has_condition(obj, "SuccessCriteriaMet")
    finished = complete or failed
    errors: Errors = []
    for wrong, detail in (
        (complete and failed, "cannot set Complete=True and Failed=true conditions"),
        (complete and target, "cannot set Complete=True and FailureTarget=true conditions"),
        (failed and not target, "cannot set Failed=True condition without the FailureTarget=true condition"),
        (complete and not met, "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"),
        (met and failed, "cannot set SuccessCriteriaMet=True and Failed=true conditions"),
        (met and target, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"),
    ):
        if wrong:
            errors.append(_of("status.conditions", detail))
    end, start = status.completionTime, status.startTime
    if end is not None and not complete:
        detail = "cannot set completionTime when there is no Complete=True condition"
        errors.append(invalid("status.completionTime", end, detail))
    if end is None and complete:
        errors.append(required("status.completionTime", "completionTime is required for Complete jobs"))
    if start and end and clock.parse_rfc3339(end) < clock.parse_rfc3339(start):
        errors.append(invalid("status.completionTime", end, "completionTime cannot be set before startTime"))
    if finished:
        errors += _broken_end(status)
    if status.ready is not None and status.ready > status.active:
        errors.append(invalid("status.ready", status.ready, "cannot set more ready pods than active"))
    if status.completedIndexes and spec.completionMode != "Indexed":
        detail = "cannot set non-empty completedIndexes when non-indexed completion mode"
        errors.append(invalid("status.completedIndexes", status.completedIndexes, detail))
    if spec.backoffLimitPerIndex is None and status.failedIndexes is not None:
        detail = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        errors.append(invalid("status.failedIndexes", status.failedIndexes, detail))
    return errors + _broken_indexes(obj)


def _broken_end(status: JobStatus) -> Errors:
    """What a finished Job may not have."""
    errors: Errors = []
    if status.active > 0:
        errors.append(invalid("status.active", status.active, "active>0 is invalid for finished job"))
    if status.startTime is None:
        errors.append(required("status.startTime", "startTime is required for finished job"))
    uncounted = status.uncountedTerminatedPods
    if uncounted is not None and (uncounted.failed or uncounted.succeeded):
        detail = "uncountedTerminatedPods needs to be empty for finished job"
        errors.append(invalid("status.uncountedTerminatedPods", uncounted, detail))
    if status.terminating:
        errors.append(invalid("status.terminating", status.terminating, "terminating>0 is invalid for finished job"))
    return errors


def _broken_indexes(obj: Job) -> Errors:
    spec, status = obj.spec, obj.status
    if spec.completions is None:
        return []
    errors: Errors = []
    parsed: dict[str, list[tuple[int, int]]] = {}
    texts = {"completedIndexes": status.completedIndexes}
    if spec.backoffLimitPerIndex is not None and status.failedIndexes is not None:
        texts["failedIndexes"] = status.failedIndexes
    for name, text in texts.items():
        try:
            parsed[name] = indexes.parse_intervals(text, spec.completions)
        except indexes.IndexesError as error:
            errors.append(invalid(f"status.{name}", text, f"error parsing {name}: {error}"))
    if len(parsed) == 2:
        common = indexes.first_common(parsed["completedIndexes"], parsed["failedIndexes"])
        if common is not None:
            detail = f"failedIndexes and completedIndexes overlap at index: {common}"
            errors.append(invalid("status.failedIndexes", status.failedIndexes, detail))
    return errors


def _validate_transition(obj: Job, old: Job) -> Errors:
    status, was = obj.status, old.status
    errors: Errors = []
    for type in ("Failed", "Complete", "FailureTarget"):
        if has_condition(old, type) and not has_condition(obj, type):
            errors.append(_of("status.conditions", f"cannot disable the terminal {type}=True condition"))
    for name in ("failed", "succeeded"):
        if getattr(status, name) < getattr(was, name):
            errors.append(invalid(f"status.{name}", getattr(status, name), f"cannot decrease the {name} counter"))
    if None not in (status.completionTime, was.completionTime) and status.completionTime != was.completionTime:
        errors.append(invalid("status.completionTime", status.completionTime, "completionTime cannot be mutated"))
    if was.startTime is not None and was.startTime != status.startTime and not obj.spec.suspend:
        errors.append(required("status.startTime", "startTime cannot be removed for unsuspended job"))
    met, had = has_condition(obj, "SuccessCriteriaMet"), has_condition(old, "SuccessCriteriaMet")
    if had and not met:
        errors.append(_of("status.conditions", "cannot disable the SuccessCriteriaMet=True condition"))
    if has_condition(old, "Complete") and not had and met:
        detail = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"
        errors.append(_of("status.conditions", detail))
    return errors
