"""
Segments of a picture by colour
===============================

Each pixel is a row of three numbers, red, green and blue, and a Gaussian mixture of the pixels
finds the colours of the scene. The picture is made here: a sunset over the sea, with grain. Each
pixel is then given the mean colour of its component. Components see colours only, not where a
pixel is; a large picture is fitted whole, no sample is needed.
"""

import numpy as np

from fastem import GaussianMixture

HEIGHT, WIDTH = 180, 280


def sunset() -> np.ndarray:
    """Red, green and blue, about 0 to 1, (HEIGHT, WIDTH, 3)."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0 : 1 : HEIGHT * 1j, 0 : WIDTH / HEIGHT : WIDTH * 1j]
    sky = np.array([0.96, 0.55, 0.35]) + (0.6 - y)[..., None] * np.array([-0.9, -0.35, 0.55])
    sea = np.array([0.10, 0.22, 0.38]) + 0.12 * np.sin(60 * y + 9 * np.sin(7 * x))[..., None]
    sun = np.hypot(x - 0.78, y - 0.42) < 0.13
    hill = y > 0.62 - 0.22 * np.exp(-(((x - 1.35) / 0.22) ** 2))
    picture = np.where(hill[..., None] & (y < 0.62)[..., None], [0.16, 0.12, 0.16], sky)
    picture = np.where((sun & ~hill)[..., None], [1.0, 0.88, 0.55], picture)
    picture = np.where((y >= 0.62)[..., None], sea, picture)
    return picture + rng.normal(0, 0.03, picture.shape)


def main() -> None:
    picture = sunset()
    pixels = picture.reshape(-1, 3)
    segmented = {}
    for n_components in (2, 4, 8):
        model = GaussianMixture(n_components, random_state=0).fit(pixels)
        segmented[n_components] = model.means_[model.predict(pixels)].reshape(picture.shape)
        print(f"{n_components} components: {model.n_iter_} iterations, BIC {model.bic(pixels):.0f}")
    draw(picture, segmented)


def draw(picture, segmented) -> None:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("pip install 'fastem[plot]' to see the picture")
        return
    _, panels = plt.subplots(2, 2, figsize=(8, 5.6), layout="constrained")
    shown = {"pixels": picture, **{f"{k} components": image for k, image in segmented.items()}}
    for axes, (title, image) in zip(panels.flat, shown.items(), strict=True):
        axes.imshow(np.clip(image, 0, 1))
        axes.set_title(title, fontsize=11)
        axes.set_axis_off()
    plt.show()


if __name__ == "__main__":
    main()
