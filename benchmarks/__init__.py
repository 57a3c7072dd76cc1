"""What an operation costs: CPU milliseconds and latency, measured on a whole running shop."""
