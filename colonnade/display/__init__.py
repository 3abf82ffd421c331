"""Pictures for the terminal and the notebook."""
