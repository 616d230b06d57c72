"""Recursions over the joints of an arm, in the array layout that makes them fast; armctl.dynamics is their face."""
