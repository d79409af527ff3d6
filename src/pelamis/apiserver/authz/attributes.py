"""What is to be decided: may this user do that?"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from pelamis.apiserver.user import User
from pelamis.base.errors import Forbidden, StatusError


class Attributes(NamedTuple):
    """For a non-resource request ``resource`` is empty and ``path`` is set. Hashable but for the user."""

    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    field_selector: str = ""
    label_selector: str = ""


class Decision(NamedTuple):
    """allowed None = no opinion (which denies when nobody else allows)."""

    allowed: bool | None
    reason: str = ""


NO_OPINION = Decision(None)


class Authorizer(Protocol):
    def authorize(self, user: User, a: Attributes) -> Decision: ...


class Member(Authorizer, Protocol):
    def state(self, user: User) -> object:
        """While it is the same, every decision about the user stays as it is. None: that cannot be said."""
        ...


class Union:
    """The first authorizer with an opinion decides; ``system:masters`` may do everything."""

    def __init__(self, *members: Member) -> None:
        self.members = members

    def authorize(self, user: User, a: Attributes) -> Decision:
        if "system:masters" in user.groups:
            return Decision(True)
        reason = ""
        for member in self.members:
            decision = member.authorize(user, a)
            if decision.allowed is not None:
                return decision
            if decision.reason:
                reason = f"{reason}, {decision.reason}" if reason else decision.reason
        return Decision(False, reason)

    def state(self, user: User) -> object:
        states = [member.state(user) for member in self.members]
        return None if None in states else states


def refusal(user: User, a: Attributes, reason: str = "") -> StatusError:
    """403 with upstream's wording."""
    if not a.resource:
        text = f'User "{user.name}" cannot {a.verb} path "{a.path}"'
    else:
        what = f"{a.resource}/{a.subresource}" if a.subresource else a.resource
        where = f'in the namespace "{a.namespace}"' if a.namespace else "at the cluster scope"
        text = f'User "{user.name}" cannot {a.verb} resource "{what}" in API group "{a.group}" {where}'
    if reason:
        text = f"{text}: {reason}"
    return Forbidden(a.resource, a.group, a.name, text)
