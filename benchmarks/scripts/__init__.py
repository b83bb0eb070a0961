"""What a person would write instead of a spec: scripts in the style of well-known ones, to measure against.

Each runs by itself, from the folder `benchmarks`: `python -m scripts.notebook`.
"""
