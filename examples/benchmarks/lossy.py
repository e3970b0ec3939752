"""Pictures in few bytes: rounded codes of an autoencoder beside JPEG and WebP.

    python examples/benchmarks/lossy.py                  # about 3 minutes
    python examples/benchmarks/lossy.py --of faces --output pictures
    python examples/benchmarks/lossy.py --quick          # seconds: does it run?

The claim: below half a bit a pixel, a higher peak signal-to-noise ratio than JPEG and
WebP have at as many bytes, on pictures that were not trained on. Three subjects: a
quarter at a time of Olivetti faces, of persons never seen before; squares of 8 x 8 and
of 16 x 16 pixels of scikit-learn's two photographs, in colour.

For JPEG and WebP (of Pillow, at their slowest settings) all pictures are tiled into one
large image, so that there is one header; faces are whole there. For the autoencoder
every byte counts but those of the model, whose size is stated. Between two measured
rates the ratio is interpolated linearly in the logarithm of the rate.
"""

import io
import pickle
from functools import partial

import numpy as np
from denoising import mirrored
from PIL import Image
from restoration import (
    faces_of_others,
    make_parser,
    psnr,
    squares_of_photographs,
)
from speed_race import timed
from speed_report import list_text, print_parts, table_text, tell

from skae import AutoencoderTransformer
from skae.compression import LossyCodec

RATES = (0.1, 0.2, 0.3, 0.4, 0.5)  # bits a pixel, in the table
QUALITIES = (1, 2, 3, 5, 7, 9, 12, 15, 18, 22, 26, 30, 35, 40, 50, 60, 70, 80)
STEPS = np.geomspace(0.08, 1.2, 12)
FORMATS = {"JPEG": {"optimize": True, "progressive": True}, "WebP": {"method": 6}}

# -- pictures, and one image of them all -----------------------------------------------


class Subject:
    """Rows to compress, and how they lie in one image.

    Parameters
    ----------
    X_train, X_test : ndarray of shape (n_rows, n_values)
        Rows in [0, 1].
    image_shape : tuple
        (channels, height, width) of a row.
    n_across : int
        Rows beside each other in the image.
    n_components : int
        Of the autoencoder.
    """

    def __init__(self, X_train, X_test, image_shape, n_across, n_components):
        self.X_train, self.X_test = (
            X_train,
            X_test[: len(X_test) // n_across * n_across],
        )
        self.image_shape, self.n_across = image_shape, n_across
        self.n_components = n_components

    @property
    def n_pixels(self):
        """How many pixels all test rows have; one has all its colours."""
        return self.X_test.size // self.image_shape[0]

    def tile(self, X):
        """Return rows as one image, (height, width, channels), 0 to 255."""
        channels, height, width = self.image_shape
        tiles = X.reshape(-1, self.n_across, channels, height, width)
        image = tiles.transpose(0, 3, 1, 4, 2)
        image = image.reshape(-1, self.n_across * width, channels)
        return np.rint(image.clip(0, 1) * 255).astype(np.uint8)


def quarters(X, n_pictures_across=None):
    """Return the quarters of faces, (4 * n_faces, 32 * 32).

    With a number of faces across, in an order in which they tile into whole faces.
    """
    images = X.reshape(-1, 2, 32, 2, 32).transpose(0, 1, 3, 2, 4)  # (n, 2, 2, 32, 32)
    if n_pictures_across is not None:
        lines = images.reshape(-1, n_pictures_across, 2, 2, 32, 32)
        images = lines.transpose(0, 2, 1, 3, 4, 5)
    return images.reshape(-1, 32 * 32)


def of_faces(quick):
    """Return the quarters of faces."""
    if quick:
        return of_squares(8, 16, quick)
    pictures = faces_of_others(quick)
    X_train = mirrored(pictures.X_train, pictures.image_shape)
    X_test = quarters(pictures.X_test, 8)
    return Subject(quarters(X_train), X_test, (1, 32, 32), 16, n_components=512)


def of_squares(side, n_components, quick):
    """Return the squares of photographs."""
    squares = squares_of_photographs(side).astype(np.float32)
    squares = squares.reshape(len(squares), -1)[: 2000 if quick else None]
    X_test, X_train = np.split(squares, [len(squares) // 4])
    n_across = int(len(X_test) ** 0.5)
    return Subject(X_train, X_test, (3, side, side), n_across, n_components)


SUBJECTS = {
    "faces": of_faces,
    "squares of 8": partial(of_squares, 8, 128),
    "squares of 16": partial(of_squares, 16, 256),
}

# -- curves: lists of (bits a pixel, decibels, rows) -----------------------------------


def curve_of_format(name, subject):
    """Return the curve of a format of Pillow."""
    image = subject.tile(subject.X_test).squeeze()
    original, curve = subject.tile(subject.X_test) / 255, []
    for quality in QUALITIES:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, name, quality=quality, **FORMATS[name])
        decoded = Image.open(io.BytesIO(buffer.getvalue()))
        decoded = np.asarray(decoded.convert("L" if image.ndim == 2 else "RGB"))
        decoded = decoded.reshape(original.shape)
        bits = 8 * len(buffer.getvalue()) / subject.n_pixels
        curve.append((bits, psnr(decoded / 255, original), decoded))
    return curve


def curve_of_codec(model, subject, steps):
    """Return the curve of a fitted autoencoder, decoded rows tiled to one image."""
    original, curve = subject.tile(subject.X_test) / 255, []
    for step in steps:
        codec = LossyCodec(model, step=step)
        data = codec.compress(subject.X_test)
        decoded = subject.tile(codec.decompress(data))
        bits = 8 * len(data) / subject.n_pixels
        curve.append((bits, psnr(decoded / 255, original), decoded))
    return curve[::-1]


def at_rate(curve, bits):
    """Return the decibels of a curve at a rate; NaN where it does not reach."""
    rates, decibels = (np.array([point[i] for point in curve]) for i in range(2))
    if not rates.min() <= bits <= rates.max():
        return np.nan
    order = np.argsort(rates)
    return float(np.interp(np.log(bits), np.log(rates[order]), decibels[order]))


# -- all of it -------------------------------------------------------------------------


def compare(name, arguments):
    """Return the report of a subject."""
    quick = arguments.quick
    subject = SUBJECTS[name](quick)
    model = AutoencoderTransformer(
        subject.n_components,
        scale="global",
        max_epochs=5 if quick else "auto",
        random_state=0,
    )
    _, times = timed(model.fit, subject.X_train)
    curves = {form: curve_of_format(form, subject) for form in FORMATS}
    curves["skae"] = curve_of_codec(model, subject, STEPS[-3:] if quick else STEPS)
    codec = LossyCodec(model, step=STEPS[-1])
    data, packing = timed(codec.compress, subject.X_test)
    _, unpacking = timed(codec.decompress, data)
    tell(name, {"seconds": times["wall"]})
    lines = []
    for rate in RATES:
        decibels = {form: at_rate(curve, rate) for form, curve in curves.items()}
        others = [decibels[form] for form in FORMATS]
        best = -np.inf if np.isnan(others).all() else np.nanmax(others)
        verdict = "met" if decibels["skae"] > best else "missed"
        if np.isnan(decibels["skae"]):
            verdict = ""
        cells = ["" if np.isnan(d) else f"{d:.2f}" for d in decibels.values()]
        lines.append([f"{rate:g}", *cells, "" if quick else verdict])
    if arguments.output is not None:
        draw(arguments.output, name, curves)
    n_rows = len(subject.X_test)
    facts = {
        "rows": f"{subject.X_train.shape} and {subject.X_test.shape}",
        "estimator": " ".join(repr(model).split()),
        "seconds of the fit": f"{times['wall']:.0f}",
        "best epoch": model.best_epoch_,
        "bytes of the model": len(pickle.dumps(model)),
        "rows a second": f"{n_rows / packing['wall']:.0f} to bytes, "
        f"{n_rows / unpacking['wall']:.0f} back",
    }
    headers = ["bits a pixel", *(f"{form}, dB" for form in curves), "verdict"]
    return "\n\n".join([f"## {name}", list_text(facts), table_text(headers, lines)])


def draw(folder, name, curves):
    """Draw the curves, and a corner of what comes back at about a quarter of a bit."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    axes = figure.subplots(1, 1 + len(curves), width_ratios=[1.4, *[1] * len(curves)])
    for ax, (form, curve) in zip(axes[1:], curves.items(), strict=True):
        axes[0].plot(*zip(*[point[:2] for point in curve], strict=True), label=form)
        bits, decibels, image = min(curve, key=lambda point: abs(point[0] - 0.25))
        ax.imshow(image[:192, :192].squeeze(), cmap="gray", vmin=0, vmax=255)
        ax.set_title(f"{form}: {bits:.2f} bits, {decibels:.1f} dB", fontsize=9)
        ax.set_axis_off()
    axes[0].set(xlim=(0, 0.8), xlabel="bits a pixel", ylabel="PSNR, dB")
    visible = [p[1] for curve in curves.values() for p in curve if p[0] < 0.8]
    axes[0].set_ylim(min(visible) - 0.5, max(visible) + 0.5)
    axes[0].legend()
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"lossy {name}.png", dpi=110)


def main():
    arguments = make_parser(__doc__, SUBJECTS).parse_args()
    reports = [compare(name, arguments) for name in arguments.of]
    print_parts("Pictures in few bytes", reports, quick=arguments.quick)


if __name__ == "__main__":
    main()
