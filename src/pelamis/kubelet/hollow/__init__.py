"""Hollow nodes: thousands of kubelets in one process, over containers that exist in memory only.

The decisions are the real kubelet's (``podsync``, ``status``, ``admit``, ``probes``); what carries them out is made
light: one view of pods, one timer, no task, no thread and no file for a pod or a node. Time and randomness are given,
so it runs on a loop of virtual time too.
"""
