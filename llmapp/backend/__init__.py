"""Models on this machine: what it can do, where weights come from, loading, one owner of what is loaded."""
