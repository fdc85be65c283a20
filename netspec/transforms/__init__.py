"""What is done to images: decoding, resizing, cropping, augmentation and normalisation."""
