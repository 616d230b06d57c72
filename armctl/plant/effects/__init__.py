"""In what a real arm differs from the ideal one: an effect a file, stated once for plant and twin."""
