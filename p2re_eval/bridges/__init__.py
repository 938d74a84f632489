"""Doors to other systems: each follows the store by its public streams and keeps a ledger there."""
