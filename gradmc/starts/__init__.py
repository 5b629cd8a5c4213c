"""Starting points: how a chain comes from nothing to where the posterior's mass is."""
