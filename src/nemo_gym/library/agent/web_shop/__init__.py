"""A web shop on this machine, in which the model orders by HTTP."""
