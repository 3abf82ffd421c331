"""The five domains of the storage API, each written once, for all stores and both colours."""
