"""The kinds of one API group, in discovery order."""

from pelamis.api.batch.cronjob import KIND as CRONJOB
from pelamis.api.batch.job import KIND as JOB

KINDS = (
    JOB,
    CRONJOB,
)
