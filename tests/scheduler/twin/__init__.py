"""The scheduler once more, slow and obvious: upstream's documented semantics, node by node, on plain API trees.

One module per plugin, each with some of these functions:

- ``before(world, pod)``: None, a text (the pod cannot be scheduled at all), or the set of the only nodes to look at;
- ``filter(world, pod, node)``: None, or (reasons, whether an eviction may help);
- ``score(world, pod, node, feasible)``: the raw score, or None when the plugin leaves this pod out;
- ``normalize(scores)``: the final scores of raw ones, by node name; without it the raw ones are final.

Nothing here uses the product's code, NumPy or a snapshot; what the tests compare was written twice. ``world`` turns the
trees into a snapshot for the product's side; ``draws`` makes random clusters; ``cycle`` runs the plugins.
"""
