"""The kinds of the group in versions that are served only when they are switched on."""

from pelamis.api.resource import v1beta1
from pelamis.api.resource.deviceclass import KIND as DEVICECLASS
from pelamis.api.resource.devicetaintrule import KIND as DEVICETAINTRULE
from pelamis.api.resource.resourceclaim import KIND as RESOURCECLAIM
from pelamis.api.resource.resourceclaimtemplate import KIND as RESOURCECLAIMTEMPLATE
from pelamis.api.resource.resourcepoolstatusrequest import KIND as RESOURCEPOOLSTATUSREQUEST
from pelamis.api.resource.resourceslice import KIND as RESOURCESLICE
from pelamis.api.version import reversion

KINDS = (
    *(
        reversion(kind, "v1beta2", introduced=33)
        for kind in (DEVICECLASS, RESOURCECLAIM, RESOURCECLAIMTEMPLATE, RESOURCESLICE)
    ),
    reversion(DEVICETAINTRULE, "v1beta2", introduced=36),
    reversion(DEVICECLASS, "v1beta1", introduced=32, swap=v1beta1.SWAP),
    reversion(
        RESOURCECLAIM,
        "v1beta1",
        introduced=32,
        swap=v1beta1.SWAP,
        to_hub=v1beta1.claim_to_hub,
        from_hub=v1beta1.claim_from_hub,
    ),
    reversion(
        RESOURCECLAIMTEMPLATE,
        "v1beta1",
        introduced=32,
        swap=v1beta1.SWAP,
        to_hub=v1beta1.template_to_hub,
        from_hub=v1beta1.template_from_hub,
    ),
    reversion(
        RESOURCESLICE,
        "v1beta1",
        introduced=32,
        swap=v1beta1.SWAP,
        to_hub=v1beta1.slice_to_hub,
        from_hub=v1beta1.slice_from_hub,
    ),
    reversion(DEVICETAINTRULE, "v1alpha3", introduced=33),
    RESOURCEPOOLSTATUSREQUEST,
)
