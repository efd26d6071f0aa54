"""What `benches/metrics.py` measures, one file per group."""
