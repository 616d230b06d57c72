"""The report of a bench: one self-contained page of tables, figures and an animation."""
