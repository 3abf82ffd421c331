"""``colonnade demo``: a small simulated agent, and what colonnade has to say about it. No network, no model."""
