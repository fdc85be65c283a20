import torch
from torch import nn


class LeNet(nn.Module):
    """LeNet(caffe=True, classes=10): LeCun, Bottou, Bengio and Haffner, 1998.

    Takes batches of image (1x28x28); returns ip2 (10).
    """

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 20, 5)
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.pool2 = nn.MaxPool2d(2)
        self.ip1 = nn.Linear(800, 500)
        self.relu1 = nn.ReLU(inplace=True)
        self.ip2 = nn.Linear(500, 10)
        nn.init.kaiming_uniform_(self.conv1.weight, nonlinearity="linear")
        nn.init.constant_(self.conv1.bias, val=0.0)
        nn.init.kaiming_uniform_(self.conv2.weight, nonlinearity="linear")
        nn.init.constant_(self.conv2.bias, val=0.0)
        nn.init.kaiming_uniform_(self.ip1.weight, nonlinearity="linear")
        nn.init.constant_(self.ip1.bias, val=0.0)
        nn.init.kaiming_uniform_(self.ip2.weight, nonlinearity="linear")
        nn.init.constant_(self.ip2.bias, val=0.0)

    def forward(self, x):
        x = self.conv1(x)
        x = self.pool1(x)
        x = self.conv2(x)
        x = self.pool2(x)
        x = self.ip1(torch.flatten(x, 1))
        x = self.relu1(x)
        return self.ip2(x)
