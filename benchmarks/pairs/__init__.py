"""What moves, from where, what it was worth: real pairs of a source and a target, one file each."""
