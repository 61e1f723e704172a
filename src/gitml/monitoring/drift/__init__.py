"""Which columns have moved, how far, how sure that is and which way: bounds that hold over a year of looks."""
