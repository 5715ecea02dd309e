"""Losses, the feature networks that some of them need, and their weighted sum."""
