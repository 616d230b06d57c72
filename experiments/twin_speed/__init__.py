"""Speed of the twin against frax, MJX, pinocchio and MuJoCo: `python -m experiments.twin_speed.run`."""
