"""The folder of a run: written so that it survives anything, found again, and gone on with."""
