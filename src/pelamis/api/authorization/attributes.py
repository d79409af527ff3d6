"""What an access review asks about and answers; the reviews are never stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors, as_go, check_required_choice
from pelamis.api.field import F, Struct, always
from pelamis.api.meta import FieldSelectorRequirement, LabelSelectorRequirement, ObjectMeta
from pelamis.api.metavalidate import validate_requirement
from pelamis.base.errors import forbidden, invalid, required


class FieldSelectorAttributes(Struct, frozen=True):
    rawSelector: Annotated[str, F(1, "The selector as text; excludes requirements.")] = ""
    requirements: Annotated[
        tuple[FieldSelectorRequirement, ...], F(2, "The selector, taken apart.", list="atomic")
    ] = ()


class LabelSelectorAttributes(Struct, frozen=True):
    rawSelector: Annotated[str, F(1, "The selector as text; excludes requirements.")] = ""
    requirements: Annotated[
        tuple[LabelSelectorRequirement, ...], F(2, "The selector, taken apart.", list="atomic")
    ] = ()


class ResourceAttributes(Struct, frozen=True):
    namespace: Annotated[str, F(1, "Namespace; empty means all, or none.")] = ""
    verb: Annotated[str, F(2, "get, list, watch, create, update, patch, delete, deletecollection, …; * for all.")] = ""
    group: Annotated[str, F(3, "API group; * for all.")] = ""
    version: Annotated[str, F(4, "API version; * for all.")] = ""
    resource: Annotated[str, F(5, "Resource; * for all.")] = ""
    subresource: Annotated[str, F(6, "Subresource, if any.")] = ""
    name: Annotated[str, F(7, "One object; empty means all.")] = ""
    fieldSelector: Annotated[FieldSelectorAttributes | None, F(8, "The request's field selector.")] = None
    labelSelector: Annotated[LabelSelectorAttributes | None, F(9, "The request's label selector.")] = None


class NonResourceAttributes(Struct, frozen=True):
    path: Annotated[str, F(1, "URL path.")] = ""
    verb: Annotated[str, F(2, "HTTP method, lower case.")] = ""


class SubjectAccessReviewSpec(Struct, frozen=True):
    resourceAttributes: Annotated[
        ResourceAttributes | None, F(1, "Access to a resource; excludes nonResourceAttributes.")
    ] = None
    nonResourceAttributes: Annotated[NonResourceAttributes | None, F(2, "Access to a URL path.")] = None
    user: Annotated[str, F(3, "Who.")] = ""
    groups: Annotated[tuple[str, ...], F(4, "Groups of the user.", list="atomic")] = ()
    extra: Annotated[dict[str, tuple[str, ...]], F(5, "Further facts from authentication, each a list of texts.")] = {}
    uid: Annotated[str, F(6, "Unique id.")] = ""


class SubjectAccessReviewStatus(Struct, frozen=True):
    allowed: Annotated[bool, F(1, "Whether it may be done.", required=True)] = always(bool)
    denied: Annotated[bool, F(4, "Whether it was refused outright, beyond not being allowed.")] = False
    reason: Annotated[str, F(2, "Why.")] = ""
    evaluationError: Annotated[str, F(3, "What went wrong on the way; a decision can stand in spite of it.")] = ""


_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def _validate_selector(selector: FieldSelectorAttributes | LabelSelectorAttributes, path: str) -> Errors:
    if selector.rawSelector and selector.requirements:
        return [
            invalid(f"{path}.rawSelector", selector.rawSelector, "may not specified at the same time as requirements")
        ]
    if not selector.rawSelector and not selector.requirements:
        return [required(f"{path}.requirements", f"when {path} is specified, requirements or rawSelector is required")]
    errors: Errors = []
    for i, requirement in enumerate(selector.requirements):
        where = f"{path}.requirements[{i}]"
        if isinstance(selector, LabelSelectorAttributes):
            errors += validate_requirement(requirement, where)
        else:
            errors += _validate_field_requirement(requirement, where)
    return errors


def _validate_field_requirement(requirement: Any, path: str) -> Errors:
    errors: Errors = [] if requirement.key else [required(f"{path}.key", "must be specified")]
    if requirement.operator in ("In", "NotIn"):
        if not requirement.values:
            errors.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif requirement.operator in ("Exists", "DoesNotExist"):
        if requirement.values:
            errors.append(
                forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
            )
    else:
        errors += check_required_choice(requirement.operator, f"{path}.operator", _OPERATORS)
    return errors


def validate_target(spec: Any, path: str) -> Errors:
    """A resource or a path, not both; ``spec`` is that of an access review."""
    resource, other = spec.resourceAttributes, spec.nonResourceAttributes
    errors: Errors = []
    if resource is not None and other is not None:
        detail = "cannot be specified in combination with resourceAttributes"
        errors.append(invalid(f"{path}.nonResourceAttributes", as_go(other), detail))
    if resource is None and other is None:
        detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        errors.append(invalid(f"{path}.resourceAttributes", other, detail))
    if resource is not None:
        where = f"{path}.resourceAttributes"
        if resource.fieldSelector is not None:
            errors += _validate_selector(resource.fieldSelector, f"{where}.fieldSelector")
        if resource.labelSelector is not None:
            errors += _validate_selector(resource.labelSelector, f"{where}.labelSelector")
    return errors


def validate_subject(spec: SubjectAccessReviewSpec, path: str) -> Errors:
    errors = validate_target(spec, path)
    if not spec.user and not spec.groups:
        errors.append(invalid(f"{path}.user", "", "at least one of user or group must be specified"))
    return errors


def validate_bare_metadata(metadata: ObjectMeta, *, keep: Sequence[str] = ()) -> Errors:
    """A review is no object: it has no metadata, but for the fields in ``keep``."""
    plain = ObjectMeta(managedFields=metadata.managedFields, **{k: getattr(metadata, k) for k in keep})
    return [] if metadata == plain else [invalid("metadata", metadata, "must be empty")]
