"""What can still be given: cards and slices, servers of each flavor, and what is stranded."""
