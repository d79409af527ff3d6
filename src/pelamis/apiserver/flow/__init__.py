"""API Priority and Fairness: no client can crowd out the others.

``rules`` says which flow a request belongs to, ``queues`` who may run and who waits, ``objects`` what a cluster starts
with. All pure; ``run`` keeps them in step with the FlowSchemas and PriorityLevelConfigurations of the cluster.
"""
