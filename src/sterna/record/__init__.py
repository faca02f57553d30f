"""What is asked of a run, and what is written of it."""
