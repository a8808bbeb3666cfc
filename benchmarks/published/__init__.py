"""Results that others published, reached with minigrad: several seeds each, on the real data."""
