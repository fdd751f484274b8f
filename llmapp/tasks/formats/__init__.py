"""Files that keep their format: what a person reads is taken out of them, and put back in other words."""
