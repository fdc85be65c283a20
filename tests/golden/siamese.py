import torch
from torch import nn


class Siamese(nn.Module):
    """Siamese(): Bromley et al., 1993.

    Takes batches of left (1x16x16), right (1x16x16); returns score (1), apart (2), both (24).
    """

    def __init__(self):
        super().__init__()
        self.tower = nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(196, 12),
        )
        self.hidden = nn.Linear(24, 10)
        self.relu = nn.ReLU()
        self.score = nn.Linear(10, 1)
        self.apart = nn.Linear(10, 2)

    def forward(self, left, right):
        tower = self.tower(left)
        other = self.tower(right)
        both = torch.cat((tower, other), 1)
        del tower, other
        hidden = self.hidden(both)
        x = self.relu(hidden)
        score = self.score(x)
        del x
        apart = self.apart(hidden) if self.training else None
        if torch.jit.is_scripting() or self.training:
            return score, apart, both
        return score, both
