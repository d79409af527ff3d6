"""Every file of the folder is in the list, and every controller can act as upstream's role for it allows."""

from __future__ import annotations

from pathlib import Path

import pelamis.controllers as package
from pelamis.controllers import Options, controllers

FULL = Options(
    ca_bundle="PEM",
    node_ranges=(("10.244.0.0/16", 24),),
    load_balancer_pool=("10.95.0.0/24",),
    issue_token=lambda *names: "token",
    sign_request=lambda *asked: b"PEM",
)
MANAGER = {"serviceaccounttoken"}
"""Those that write as the controller manager itself, as upstream."""


def test_each_file_is_in_the_list() -> None:
    files = {p.stem for p in Path(package.__file__).parent.glob("*.py")} - {"__init__"}
    assert {c.name for c in controllers(FULL)} == files


def test_names_and_identities() -> None:
    found = controllers(FULL)
    assert len({c.name for c in found}) == len(found)
    assert {c.name for c in found if not c.user.startswith("system:serviceaccount:kube-system:")} == MANAGER


def test_options_leave_out_what_they_say_nothing_of() -> None:
    names = {c.name for c in controllers(Options())}
    assert not names & {"rootca", "clustertrustbundle", "nodeipam", "servicelb", "serviceaccounttoken", "csrsigning"}
