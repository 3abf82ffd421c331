"""The stores, each alone in its module; its driver is imported nowhere else."""
