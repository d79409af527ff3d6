"""Volumes out of a node's own disk, for clusters without another storage driver."""
