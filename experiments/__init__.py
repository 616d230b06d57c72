"""Straight-line studies, each regenerating a table or a figure of the project; see README.md here."""
