"""How well sources and methods are chosen, over many real pairs of a source and a target."""
