"""System identification: the physical parameters of an arm from its logged motions, by gradient through the twin."""
