"""The notebook with a small network: below 10,000 parameters, with batch norm and dropout after each convolution.

The same course goes on to such networks; loaders, training and test stay those of `scripts.notebook`.
"""

from torch import Tensor, nn
from torch.nn.functional import log_softmax

from scripts.notebook import main


def conv(in_channels: int, out_channels: int, padding: int = 1) -> nn.Sequential:
    """A convolution and what follows each."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=padding, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
        nn.Dropout(0.1),
    )


class Net(nn.Module):
    """The network of small.yaml, as one writes it by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = conv(1, 8)
        self.conv2 = conv(8, 8)
        self.conv3 = conv(8, 16)
        self.conv4 = conv(16, 16)
        self.conv5 = conv(16, 16, padding=0)
        self.conv6 = conv(16, 16, padding=0)
        self.pool = nn.MaxPool2d(2)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.conv2(self.conv1(x)))
        x = self.pool(self.conv4(self.conv3(x)))
        x = self.average(self.conv6(self.conv5(x)))
        return log_softmax(self.linear(x.flatten(1)), dim=1)


if __name__ == "__main__":
    main(Net)
