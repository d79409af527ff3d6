"""Dynamic resource allocation on the node: drivers that register, and the devices that they prepare for pods."""
