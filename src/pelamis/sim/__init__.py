"""The whole control plane on virtual time: loop, cluster, faults, scenarios, plots."""
