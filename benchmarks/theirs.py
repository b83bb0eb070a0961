"""What is measured of the scripts. Each function gives figures by name, and wants a process of its own."""

import statistics
from collections import deque
from collections.abc import Mapping
from itertools import islice

import torch
from ceiling import speed_figures
from comparison import seconds
from digits import Digits
from scripts import notebook, pytorch_example, small
from scripts.notebook import Loader, loaders
from torch import nn
from torch.utils.data import DataLoader, Subset
from traffic import traffic_figures
from whole_process import peak_megabytes

CPU = torch.device("cpu")
NETS: Mapping[str, type[nn.Module]] = {"notebook": notebook.Net, "small": small.Net}
SEED = 1


class Script:
    """A network of the notebook's kind, all set to train."""

    def __init__(self, network: str, digits: Digits, batch_size: int) -> None:
        torch.manual_seed(SEED)
        self.train_loader, self.test_loader = loaders(digits.root, batch_size)
        self.model = NETS[network]()
        self.optimizer = notebook.optimizer_of(self.model)

    def train(self, batches: int) -> None:
        """The script's own loop over so many batches."""
        notebook.train(self.model, CPU, few(self.train_loader, batches), self.optimizer)

    def test(self, loader: Loader) -> None:
        notebook.test(self.model, CPU, loader)


def few(loader: Loader, batches: int) -> Loader:
    """The same loader, of the first images only."""
    assert loader.batch_size is not None
    images = range(batches * loader.batch_size)
    return DataLoader(Subset(loader.dataset, images), batch_size=loader.batch_size, shuffle=True)


def train(
    network: str, digits: Digits, batch_size: int, warm_up: int, steps: int, flops: int, product: int
) -> dict[str, float]:
    """How fast the script trains, by its own loop over so many batches behind some to warm up."""
    script = Script(network, digits, batch_size)
    script.train(warm_up)
    speed = steps * batch_size / seconds(lambda: script.train(steps))
    return speed_figures(speed, flops, "float32", product)


def test(network: str, digits: Digits, batch_size: int) -> dict[str, float]:
    """One pass over the test images, behind a step of training."""
    script = Script(network, digits, batch_size)
    script.train(1)
    return {"seconds": seconds(lambda: script.test(script.test_loader))}


def read(digits: Digits, batch_size: int, counted: int) -> dict[str, float]:
    """One pass over the training images, of which nothing is made; bytes are counted over a few batches of another."""
    loader, _ = loaders(digits.root, batch_size)
    took = seconds(lambda: deque(loader, maxlen=0))
    return {"seconds": took} | traffic_figures(lambda: deque(islice(loader, counted), maxlen=0), counted * batch_size)


def build(times: int) -> dict[str, float]:
    """The notebook's network, by its constructors; the median of many times."""
    return {"seconds": statistics.median(seconds(notebook.Net) for _ in range(times))}


def memory(digits: Digits, batch_size: int, steps: int, test_images: int) -> dict[str, float]:
    """The peak of a whole process that trains the notebook's network, and with a test behind it."""
    script = Script("notebook", digits, batch_size)
    script.train(steps)
    trained = peak_megabytes()
    script.test(few(script.test_loader, -(-test_images // batch_size)))
    return {"megabytes_training": trained, "megabytes_testing": peak_megabytes()}


def reach(digits: Digits, seed: int, enough: float) -> dict[str, float]:
    """PyTorch's example from nothing to the first epoch whose test is good enough; data loading is included."""
    ends: list[tuple[int, float]] = []
    took = seconds(lambda: ends.append(pytorch_example.main(digits.root, seed, enough=enough)))
    epoch, accuracy = ends[0]
    return {"seconds": took, "epochs": epoch, "accuracy": 100 * accuracy}
