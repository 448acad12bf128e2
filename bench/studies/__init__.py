"""What a run can find out: parity, times, speed-ups, scaling and differences."""
