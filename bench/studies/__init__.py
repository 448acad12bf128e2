"""Studies that a run can make: parity, times, speed-ups, scaling and differences."""
