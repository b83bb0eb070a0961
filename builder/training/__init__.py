"""Training and testing: data on the device, the loop, the run directory."""
