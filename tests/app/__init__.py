"""The App in a real browser."""
