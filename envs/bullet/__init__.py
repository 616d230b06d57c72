"""One arm in PyBullet: the physics client, the body in it, what drives it, what it touches, how it looks."""
