"""Spreads the segments of films over a Ray cluster, by the command srfusion. All state is files."""
