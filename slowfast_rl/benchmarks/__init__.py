"""Speed beside peers: environments, stores, services."""
