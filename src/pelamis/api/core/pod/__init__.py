"""The Pod kind: volumes, containers, affinity, spec, template, status, then the kind itself."""
