"""A teaching notebook as a script: seven convolutions, a DataLoader, a progress bar, and a test after the epoch.

The network, the recipe, the loaders and the shape of the functions are those of the first MNIST notebook of The School
of AI's course on vision (EVA, later ERA; students keep it in public, such as github.com/dusaurabh/ERA-Assigments, S6,
with batch norm added). Written anew; on a CPU the notebook too loads in the process that trains.
"""

import torch
import torch.nn.functional as F  # noqa: N812  # as everybody does
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader
from torchvision import datasets, transforms
from tqdm import tqdm

BATCH_SIZE = 128

Loader = DataLoader[tuple[Tensor, Tensor]]


class Net(nn.Module):
    """The network of specs/notebook.yaml, as one writes it by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.conv3 = nn.Conv2d(64, 128, 3, padding=1)
        self.conv4 = nn.Conv2d(128, 256, 3, padding=1)
        self.conv5 = nn.Conv2d(256, 512, 3)
        self.conv6 = nn.Conv2d(512, 1024, 3)
        self.conv7 = nn.Conv2d(1024, 10, 3)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))
        x = self.pool(F.relu(self.conv2(x)))
        x = F.relu(self.conv3(x))
        x = self.pool(F.relu(self.conv4(x)))
        x = F.relu(self.conv5(x))
        x = F.relu(self.conv6(x))
        x = F.relu(self.conv7(x))
        return F.log_softmax(x.view(-1, 10), dim=1)


def loaders(root: str, batch_size: int = BATCH_SIZE) -> tuple[Loader, Loader]:
    """The training and the test images below `root`, in batches."""
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    train_set = datasets.MNIST(root, train=True, download=True, transform=transform)
    test_set = datasets.MNIST(root, train=False, transform=transform)
    return (
        DataLoader(train_set, batch_size=batch_size, shuffle=True),
        DataLoader(test_set, batch_size=batch_size),
    )


def optimizer_of(model: nn.Module) -> optim.Optimizer:
    """Plain gradient descent with momentum."""
    return optim.SGD(model.parameters(), lr=0.01, momentum=0.9)


def train(model: nn.Module, device: torch.device, loader: Loader, optimizer: optim.Optimizer) -> None:
    """One pass over the training images."""
    model.train()
    bar = tqdm(loader)
    for number, (data, target) in enumerate(bar):
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        loss = F.nll_loss(model(data), target)
        loss.backward()
        optimizer.step()
        bar.set_description(f"loss={loss.item()} batch={number}")


def test(model: nn.Module, device: torch.device, loader: Loader) -> float:
    """One pass over the test images: the share that is classified rightly, which is printed with the mean loss."""
    model.eval()
    loss, correct = 0.0, 0
    with torch.no_grad():
        for data, target in loader:
            data, target = data.to(device), target.to(device)
            output = model(data)
            loss += F.nll_loss(output, target, reduction="sum").item()
            correct += int(output.argmax(dim=1).eq(target).sum().item())
    total = len(loader.dataset)  # type: ignore[arg-type]  # it has a length
    print(f"test set: loss {loss / total:.4f}, accuracy {correct}/{total} ({100 * correct / total:.2f}%)")
    return correct / total


def main(net: type[nn.Module] = Net) -> None:
    """One epoch and its test."""
    torch.manual_seed(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_loader, test_loader = loaders("data")
    model = net().to(device)
    train(model, device, train_loader, optimizer_of(model))
    test(model, device, test_loader)


if __name__ == "__main__":
    main()
