"""The audit of a twin: is it PyBullet's arm, are its gradients PyBullet's, and how far may one roll it out?"""
