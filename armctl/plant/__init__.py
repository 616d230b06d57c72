"""What defines a plant, stated once for PyBullet and twin: scenario, servo, observation, action, reward, task."""
