"""Transforms of images: decoding, resizing, cropping, augmentation and normalization."""
