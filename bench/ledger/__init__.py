"""The difference ledger: what each entry of docs/differences.md amounts to here."""
