"""How raw inputs become what a body takes: one file for each kind of data, and what puts two side by side."""
