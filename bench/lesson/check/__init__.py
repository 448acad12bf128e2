"""Find the traps of the ledger in a user's own training code, which is only read."""
