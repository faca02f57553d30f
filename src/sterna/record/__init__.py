"""What was asked of a run, what it chose and what is known of it: types that every room reads and writes."""
