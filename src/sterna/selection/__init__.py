"""Which one: who holds rows out, and what their labels choose."""
