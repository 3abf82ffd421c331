"""The Lance store: a folder, or a place in an object store, of Lance datasets as LanceDB lays them out."""
