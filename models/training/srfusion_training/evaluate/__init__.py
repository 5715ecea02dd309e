"""Measures on the development pictures, the table of the source, times on this machine."""
