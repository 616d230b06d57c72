"""Learning through the twin: one objective, one routine that tunes gains and trains networks alike."""
