"""Policies by reinforcement learning, on either backend, to be benched beside the controllers."""
