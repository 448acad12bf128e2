"""The difference ledger: how large each difference is, and what it does to accuracy."""
