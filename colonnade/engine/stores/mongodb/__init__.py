"""A database of a MongoDB server, replica set or cluster."""
