"""Networks and training; imports torch."""
