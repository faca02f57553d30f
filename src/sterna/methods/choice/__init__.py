"""Methods of one kind; each file is found by its name."""
