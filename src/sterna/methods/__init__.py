"""How knowledge moves: one folder for each kind, one file for each method."""
