"""
Compress digits to bytes, and back
==================================

Thousands of small pictures of one kind are what general formats are bad at: each
picture is too small to learn from, and what all have in common is not known to them. An
autoencoder has learned it. Its rounded codes take a few bits a pixel's worth of bytes,
JPEG and WebP beside it; a VAE gives zeros and ones back to the last bit. Prints a
table, draws a picture.

Run it with ``python examples/compress.py``; it takes about half a minute.
"""

# %%
# The data: 1,797 images of 8 x 8 pixels, a third of them to compress.

import argparse
import bz2
import io
import lzma
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer, VAETransformer
from skae.compression import LosslessCodec, LossyCodec
from skae.metrics import peak_signal_to_noise_ratio

mpl.use("Agg")  # draw to a file, without a screen
import matplotlib.pyplot as plt

N_ACROSS = 24  # digits beside each other in the image that JPEG and WebP get
STEPS = (3.0, 6.0, 10.0, 15.0)  # lengths, in the units of X: grey levels from 0 to 16


# %%
# For the others all digits are one image: there is one header.


def tile(X):
    """Return rows as one image of levels from 0 to 255."""
    tiles = X.reshape(-1, N_ACROSS, 8, 8).transpose(0, 2, 1, 3)
    return np.rint(tiles.reshape(-1, 8 * N_ACROSS) / 16 * 255).astype(np.uint8)


def untile(image):
    """Return the rows of such an image."""
    tiles = image.reshape(-1, 8, N_ACROSS, 8).transpose(0, 2, 1, 3)
    return tiles.reshape(-1, 64) / 255 * 16


def by_format(name, X, quality):
    """Return the bytes of a format of Pillow, and the rows that come back."""
    buffer = io.BytesIO()
    Image.fromarray(tile(X)).save(buffer, name, quality=quality, optimize=True)
    image = np.asarray(Image.open(buffer).convert("L"))
    return buffer.getvalue(), untile(image)


# %%
# Lossy: the larger the step, the fewer bytes.


def compress_lossy(ae, X):
    """Return a table of sizes and ratios, and rows that came back, by their name."""
    lines, rows = {}, {}
    for step in STEPS:
        codec = LossyCodec(ae, step=step)
        data = codec.compress(X)
        rows[f"autoencoder, step {step:g}"] = len(data), codec.decompress(data)
    for name, quality in (("JPEG", 1), ("JPEG", 15), ("WebP", 1), ("WebP", 40)):
        data, decoded = by_format(name, X, quality)
        rows[f"{name}, quality {quality}"] = len(data), decoded
    for name, (n_bytes, decoded) in rows.items():
        bits = 8 * n_bytes / X.size
        psnr = peak_signal_to_noise_ratio(X, decoded, data_range=16)
        lines[name] = {"bits a pixel": bits, "PSNR, dB": psnr}
    return pd.DataFrame.from_dict(lines, orient="index"), rows


# %%
# Lossless: a row costs its negative ELBO. Others get eight pixels to the byte, as suits
# them best.


def compress_lossless(vae, B):
    """Return a table of the sizes of zeros and ones."""
    codec = LosslessCodec(vae)
    data = codec.compress(B)
    assert np.array_equal(codec.decompress(data), B)
    packed = np.packbits(B).tobytes()
    sizes = {
        "VAE": len(data),
        "bz2": len(bz2.compress(packed)),
        "xz": len(lzma.compress(packed)),
    }
    lines = {name: {"bits a pixel": 8 * size / B.size} for name, size in sizes.items()}
    return pd.DataFrame.from_dict(lines, orient="index")


# %%
# The picture: the same digits, from more bytes to fewer.


def draw(X, rows, table, path):
    """Draw some digits before and after."""
    figure, axes = plt.subplots(1 + len(rows), figsize=(7, 7), layout="constrained")
    titles = {name: f"{name}: {table.loc[name].iloc[0]:.2f} bits a pixel, "
              f"{table.loc[name].iloc[1]:.1f} dB" for name in rows}  # fmt: skip
    shown = {"before": X, **{titles[name]: rows[name][1] for name in rows}}
    for ax, (title, digits) in zip(axes, shown.items(), strict=True):
        ax.imshow(tile(digits[:N_ACROSS].clip(0, 16)), cmap="gray_r")
        ax.set_title(title, loc="left", fontsize=8)
        ax.set_axis_off()
    figure.savefig(path, dpi=100)


def main():
    parser = argparse.ArgumentParser(description=__doc__.strip().partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("compress.png"))
    output = parser.parse_args().output

    X = load_digits().data
    X_train, X_test = train_test_split(X, test_size=25 * N_ACROSS, random_state=0)
    ae = AutoencoderTransformer(24, random_state=0).fit(X_train)
    table, rows = compress_lossy(ae, X_test)
    print("Lossy")
    print(table.round(2).to_string())

    vae = VAETransformer(12, likelihood="bernoulli", random_state=0)
    vae.fit(X_train > 8)
    print("\nLossless, zeros and ones")
    print(compress_lossless(vae, X_test > 8).round(3).to_string())
    draw(X_test, rows, table, output)
    print(f"\ndrew {output}")


if __name__ == "__main__":
    main()
