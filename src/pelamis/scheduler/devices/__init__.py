"""Devices that pods claim: which there are, which are taken, and how claims are allocated. Pure.

``inventory`` keeps what slices, classes, taint rules and claims say; ``pool`` brings slices into the form in which they
are searched; ``ask`` is what claims want; ``allocator`` finds devices for them on one node, with ``selector`` (CEL),
``capacity`` (devices that are shared) and ``constraint``; ``grant`` writes down what was found. ``podclaims`` finds the
claims of a pod, ``extended`` makes one of its extended resources, ``readiness`` is about conditions before binding.
"""
