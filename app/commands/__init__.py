"""What the smaller commands do, and how they print it; a module for each group."""
