"""Kill anything: a drill that breaks a whole stack at random, and then asks everybody's books what became of it."""
