import torch
from torch import nn


class Double(nn.Module):
    def __init__(self, in_channels, c):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, c, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.conv_2 = nn.Conv2d(c, c, 3, padding=1)
        self.relu_2 = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.conv(x)
        x = self.relu(x)
        x = self.conv_2(x)
        return self.relu_2(x)


class UNet(nn.Module):
    """UNet(classes=2, base=8).

    Takes batches of image (1x64x64); returns head2 (2x16x16), head1 (2x32x32), head0 (2x64x64), side0 (8x64x64).
    """

    def __init__(self):
        super().__init__()
        self.enc0 = Double(1, 8)
        self.pool0 = nn.MaxPool2d(2)
        self.enc1 = Double(8, 16)
        self.pool1 = nn.MaxPool2d(2)
        self.enc2 = Double(16, 32)
        self.pool2 = nn.MaxPool2d(2)
        self.mid = Double(32, 64)
        self.up2 = nn.ConvTranspose2d(64, 32, 2, stride=2)
        self.dec2 = Double(64, 32)
        self.head2 = nn.Conv2d(32, 2, 1)
        self.side2 = nn.ReLU()
        self.up1 = nn.ConvTranspose2d(32, 16, 2, stride=2)
        self.dec1 = Double(32, 16)
        self.head1 = nn.Conv2d(16, 2, 1)
        self.side1 = nn.ReLU()
        self.up0 = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.dec0 = Double(16, 8)
        self.head0 = nn.Conv2d(8, 2, 1)
        self.side0 = nn.ReLU()

    def forward(self, x):
        enc0 = self.enc0(x)
        x = self.pool0(enc0)
        enc1 = self.enc1(x)
        del x
        x = self.pool1(enc1)
        enc2 = self.enc2(x)
        del x
        x = self.pool2(enc2)
        x = self.mid(x)
        up2 = self.up2(x)
        del x
        dec2 = self.dec2(torch.cat((up2, enc2), 1))
        del up2, enc2
        head2 = self.head2(dec2)
        x = self.side2(dec2)
        del dec2
        up1 = self.up1(x)
        del x
        dec1 = self.dec1(torch.cat((up1, enc1), 1))
        del up1, enc1
        head1 = self.head1(dec1)
        x = self.side1(dec1)
        del dec1
        up0 = self.up0(x)
        del x
        dec0 = self.dec0(torch.cat((up0, enc0), 1))
        del up0, enc0
        head0 = self.head0(dec0)
        side0 = self.side0(dec0) if self.training else None
        if torch.jit.is_scripting() or self.training:
            return head2, head1, head0, side0
        return head2, head1, head0
