"""The embedded data set `mnist_sample`: four gzipped IDX files, and the script that made them."""
