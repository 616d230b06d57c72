"""The plant's laws: what differs from nominal (scenario), the joint servo, what is observed, and the JAX twin."""
