"""Cepstra of speech, and recordings to try them on: what the ear makes of a spectrum,
in a dozen numbers every 10 ms."""

from pathlib import Path

import numpy as np
from scipy.fft import dct
from scipy.io import wavfile
from scipy.signal import savgol_filter

FILTERS, CEPSTRA = 26, 13


def mel_filters(rate, points):
    """Triangles (FILTERS, points) that are equally wide on the mel scale."""
    mel = np.linspace(0, 2595 * np.log10(1 + rate / 2 / 700), FILTERS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    at = np.linspace(0, rate / 2, points)
    rising = (at - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - at) / (edges[2:] - edges[1:-1])[:, None]
    return np.clip(np.minimum(rising, falling), 0, None)


def cepstra(path):
    """(T, 3 CEPSTRA): cepstra, their slopes and the slopes of these, of a recording."""
    rate, sound = wavfile.read(path)
    sound = sound.astype(float) + np.random.default_rng(0).normal(
        size=len(sound)
    )  # silence is never quite silent
    sound = np.append(sound[0], sound[1:] - 0.97 * sound[:-1])
    width, step = int(0.025 * rate), int(0.010 * rate)
    sound = np.pad(sound, (0, max(0, width + 8 * step - len(sound))))
    frames = np.lib.stride_tricks.sliding_window_view(sound, width)[
        ::step
    ] * np.hamming(width)
    power = np.abs(np.fft.rfft(frames, 512)) ** 2
    coefficients = dct(
        np.log(power @ mel_filters(rate, power.shape[1]).T + 1e-10), norm="ortho"
    )[:, :CEPSTRA]
    return np.hstack(
        [
            coefficients,
            *(savgol_filter(coefficients, 9, 2, deriv=d, axis=0) for d in (1, 2)),
        ]
    )


def recordings(folder):
    """(cepstra, digits, speakers, indices) of all recordings below a folder."""
    files = sorted(Path(folder).rglob("*_*_*.wav"))
    if not files:
        raise SystemExit(
            f"{folder} has no recordings called {{digit}}_{{speaker}}_{{index}}.wav"
        )
    digits, speakers, indices = (
        np.array(x) for x in zip(*(f.stem.split("_") for f in files), strict=True)
    )
    return [cepstra(f) for f in files], digits, speakers, indices.astype(int)


def write_tones(folder, words=4, speakers=3, each=12, rate=8000):
    """Words of three chords each, whistled by speakers of different pitch."""
    rng = np.random.default_rng(0)
    chords = rng.uniform(400, 2500, (words, 3, 2))
    for s, name in enumerate(["ada", "bob", "cyn", "dan"][:speakers]):
        for word in range(words):
            for i in range(each):
                parts = []
                for chord in chords[word] * (1 + 0.06 * s) * rng.normal(1, 0.01):
                    t = np.arange(int(rate * rng.uniform(0.08, 0.14))) / rate
                    parts.append(np.sin(2 * np.pi * chord[:, None] * t).sum(axis=0))
                sound = 4000 * np.concatenate(parts) + rng.normal(
                    0, 200 + 100 * s, sum(map(len, parts))
                )
                wavfile.write(
                    Path(folder) / f"{word}_{name}_{i}.wav",
                    rate,
                    sound.astype(np.int16),
                )
    return folder
