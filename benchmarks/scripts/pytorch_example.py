"""PyTorch's own example for MNIST: two convolutions, two linear layers, Adadelta, a rate that falls each epoch.

The network, the recipe, the loaders and the shape of the functions are those of github.com/pytorch/examples,
mnist/main.py, with its defaults. Written anew; what is added is that `main` can stop at an accuracy, and that images
are shuffled on a CPU too (there, only on a GPU).
"""

import torch
import torch.nn.functional as F  # noqa: N812  # as everybody does
from torch import Tensor, nn, optim
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

EPOCHS = 14
BATCH_SIZE, TEST_BATCH_SIZE = 64, 1000
LOG_INTERVAL = 10  # batches

Loader = DataLoader[tuple[Tensor, Tensor]]


class Net(nn.Module):
    """The network of specs/pytorch_example.yaml, as one writes it by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = self.dropout1(F.max_pool2d(x, 2))
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        x = self.fc2(self.dropout2(x))
        return F.log_softmax(x, dim=1)


def train(model: nn.Module, device: torch.device, loader: Loader, optimizer: optim.Optimizer, epoch: int) -> None:
    """One pass over the training images."""
    model.train()
    for number, (data, target) in enumerate(loader):
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        loss = F.nll_loss(model(data), target)
        loss.backward()
        optimizer.step()
        if number % LOG_INTERVAL == 0:
            print(f"epoch {epoch}, batch {number} of {len(loader)}: loss {loss.item():.6f}")


def test(model: nn.Module, device: torch.device, loader: Loader) -> float:
    """One pass over the test images: the share that is classified rightly, which is printed with the mean loss."""
    model.eval()
    loss, correct = 0.0, 0
    with torch.no_grad():
        for data, target in loader:
            data, target = data.to(device), target.to(device)
            output = model(data)
            loss += F.nll_loss(output, target, reduction="sum").item()
            prediction = output.argmax(dim=1, keepdim=True)
            correct += int(prediction.eq(target.view_as(prediction)).sum().item())
    total = len(loader.dataset)  # type: ignore[arg-type]  # it has a length
    print(f"test set: loss {loss / total:.4f}, accuracy {correct}/{total} ({100 * correct / total:.0f}%)")
    return correct / total


def main(root: str = "data", seed: int = 1, epochs: int = EPOCHS, enough: float = float("inf")) -> tuple[int, float]:
    """Train until an epoch's test reaches `enough`, or to the end: how many epochs it took, and the accuracy."""
    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    train_set = datasets.MNIST(root, train=True, download=True, transform=transform)
    test_set = datasets.MNIST(root, train=False, transform=transform)
    train_loader = DataLoader(train_set, batch_size=BATCH_SIZE, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=TEST_BATCH_SIZE)
    model = Net().to(device)
    optimizer = optim.Adadelta(model.parameters(), lr=1.0)
    scheduler = StepLR(optimizer, step_size=1, gamma=0.7)
    accuracy = 0.0
    for epoch in range(1, epochs + 1):
        train(model, device, train_loader, optimizer, epoch)
        accuracy = test(model, device, test_loader)
        scheduler.step()
        if accuracy >= enough:
            break
    return epoch, accuracy


if __name__ == "__main__":
    main()
