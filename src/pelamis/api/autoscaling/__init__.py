"""The kinds of one API group, in discovery order."""

from pelamis.api.autoscaling.horizontalpodautoscaler import KIND as HORIZONTALPODAUTOSCALER
from pelamis.api.autoscaling.horizontalpodautoscaler_v1 import KIND as HORIZONTALPODAUTOSCALER_V1

KINDS = (
    HORIZONTALPODAUTOSCALER_V1,
    HORIZONTALPODAUTOSCALER,
)
