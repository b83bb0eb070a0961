"""Every bound of the project, in one table.

A spec may come from anybody (a pull request, a form on a page), so reading one takes bounded time and memory.
The bounds lie far above what a network for small images needs and far below what hurts a machine.
"""

MAX_SPEC_BYTES = 1_000_000
MAX_DEPTH = 64  # levels of YAML; one level of composition costs 3 or 4
MAX_ALIASES = 100
MAX_ALIASED_NODES = 10_000  # nodes that aliases repeat, all together
MAX_NODES = 200_000  # keys and values as written
MAX_DIGITS = 300  # of a number in YAML; the largest double has 309
MAX_NAME = 64
MAX_EXPRESSION = 200  # characters of a computed value

MAX_SIZE = 10_000  # of an image, a kernel, a stride, a padding, an output
MAX_CHANNELS = 1_000_000  # and features
MAX_PARAMS = 1_000_000_000
MAX_ACTIVATION = 2**31  # numbers that one layer may give for one image
MAX_LAYERS = 200_000  # after expansion
MAX_NESTING = 100  # lists of layers within lists, calls of blocks included
MAX_FIELD = 10**12  # pixels that a receptive field, or its stride, may have
MAX_INTERVALS = 50_000  # of units that each see something else, in all layers together
MAX_LISTS = 100  # names of a block, or of one `for`
MAX_NESTED_VALUES = 200  # of a list of lists, those of all its lists together

MAX_NUMBER = 3.4e38  # float32, in which torch computes, ends a little above
MAX_BATCH_SIZE = 1_000_000
MAX_EPOCHS = 100_000
MAX_AUGMENTATIONS = 32
MAX_STEPS = 10**12  # of a warm-up, or of a schedule
MAX_THREADS = 1_024
MAX_SEED = 2**32 - 1
MAX_IMAGES = 10_000_000  # of a data set, or of a part of one
MAX_CLASSES = 10_000
MAX_MADE_PIXELS = 2**31  # of a synthetic data set
MAX_PATH = 1_000  # characters of a path
MAX_MACS = 10**18  # of a budget
MAX_REASON = 200  # characters

MAX_SHOWN_PROBLEMS = 20  # of one file, in the formats that people read
