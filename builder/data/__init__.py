"""The images of a data set: found, fetched, made or read; verified at every load, and kept on the device."""
