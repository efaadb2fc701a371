"""Models: the EEGPT-style streaming network, its baselines and its training."""
