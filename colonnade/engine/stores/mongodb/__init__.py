"""A database of a MongoDB server, replica set or cluster."""

from colonnade.engine.stores.mongodb.store import AsyncMongoDBStore, MongoDBStore

__all__ = ["AsyncMongoDBStore", "MongoDBStore"]
