"""How the figures stand and what they wear: random postures of a jointed body.

Lengths are in heights of the standing body. Directions are those of the body: to its
left, down and forward, in this order, from the crown of its head.
"""

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from .figure import KEYPOINTS, SIDES, Figure, Part
from .texture import hsv_to_bgr

# A child's head: its points keep apart on small images.
HEAD, RADIUS = 0.13, 0.125
NECK, SHOULDER, HIP = 0.27, 0.3, 0.56
HALF_SHOULDERS, HALF_HIPS = 0.12, 0.07
ARM, FOREARM, THIGH, SHIN, FOOT = 0.15, 0.14, 0.2, 0.19, 0.06
# Nose, eyes and ears from the middle of the head, in its radii; the left ones.
FACE = {'nose': (0.0, 0.12, 1.0), 'eye': (0.42, -0.12, 0.9), 'ear': (1.08, 0.0, 0.0)}
# A face point further than this behind the middle of the head, in radii, is not shown.
FAR = {'nose': -0.3, 'eye': 0.2, 'ear': -0.5}
# How often one sees the front, the back and either profile, and the turn, in degrees.
VIEWS = ((0.76, 0.0, 15.0), (0.1, 180.0, 15.0), (0.07, 80.0, 12.0), (0.07, -80.0, 12.0))
# Clothes tend to these hues, in degrees; one figure in ten wears any.
HUES = {'shirt': 215.0, 'trousers': 25.0, 'pad': 320.0, 'sock': 95.0}
HUE_SPREAD, ODD_COLOR_RATE = 16.0, 0.1

Posture = dict[str, ndarray]
Looks = dict[str, ndarray]


def sample_figure(rng: Generator, height: float) -> Figure:
    """Draw a figure whose standing height is given in pixels, its crown near (0, 0)."""
    posture = sample_posture(rng)
    shares, turns, spreads = zip(*VIEWS, strict=True)
    view = rng.choice(len(VIEWS), p=shares)
    turn = np.radians(rng.normal(turns[view], spreads[view]))
    lean = np.radians(rng.normal(0, 8))
    seen = {
        name: project(point, turn, lean) * height for name, point in posture.items()
    }
    shown = np.ones(len(KEYPOINTS), bool)
    for index, name in enumerate(KEYPOINTS):
        kind = name.split('_')[-1]
        if kind in FAR:
            depth = seen[name][2] - seen['head'][2]
            shown[index] = depth > FAR[kind] * RADIUS * height
    parts = build_parts(seen, sample_looks(rng), height)
    hidden = {KEYPOINTS[i] for i in np.flatnonzero(~shown)}
    kept = [part for name, part in parts if name not in hidden]
    kept.sort(key=lambda part: part.ends[:, 2].mean())
    points = np.stack([seen[name] for name in KEYPOINTS])
    return Figure(points, shown, tuple(kept))


def sample_posture(rng: Generator) -> Posture:
    """Draw a standing posture: points ``(3,)`` by name."""
    posture = {
        'head': np.array([0.0, HEAD, 0.0]),
        'hair': np.array([0.0, HEAD - 0.25 * RADIUS, -0.35 * RADIUS]),
        'neck': np.array([0.0, NECK, 0.0]),
    }
    _set_face(posture, np.radians(rng.normal(0, 14)))
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        mirror = np.array([sign, 1.0, 1.0])
        posture[f'{side}_shoulder'] = np.array([HALF_SHOULDERS, SHOULDER, 0.0]) * mirror
        posture[f'{side}_hip'] = np.array([HALF_HIPS, HIP, 0.0]) * mirror
        raised = rng.uniform(8, 50) if rng.random() < 0.6 else rng.uniform(50, 150)
        upper = _direction(raised, rng.uniform(-20, 70))
        inward = np.array([rng.uniform(-0.8, 0.4), -0.6, rng.uniform(0.2, 1.0)])
        fore = _bent(upper, inward, rng.uniform(0, 100))
        thigh = _direction(rng.uniform(0, 24), rng.uniform(-40, 80))
        backward = np.array([0.0, 0.0, -1.0])
        shin = _bent(thigh, backward, abs(rng.normal(0, 18)))
        foot = np.array([0.25, 0.3, 0.92])
        for start, end, length, direction in (
            ('shoulder', 'elbow', ARM, upper),
            ('elbow', 'wrist', FOREARM, fore),
            ('wrist', 'hand', 0.03, fore),
            ('hip', 'knee', THIGH, thigh),
            ('knee', 'ankle', SHIN, shin),
            ('ankle', 'toe', FOOT, foot),
        ):
            step = length * rng.uniform(0.93, 1.07) * direction * mirror
            posture[f'{side}_{end}'] = posture[f'{side}_{start}'] + step
    return posture


def project(point: ndarray, turn: float, lean: float) -> ndarray:
    """Give x, y and depth towards the viewer of a point of the body.

    Args:
        point: to the left, down, forward.
        turn: of the body to the image's right, in radians; 0 looks at the viewer.
        lean: of the body about the middle of its hips, clockwise.
    """
    left, down, forward = point
    x = left * np.cos(turn) + forward * np.sin(turn)
    depth = forward * np.cos(turn) - left * np.sin(turn)
    y = down - HIP
    return np.array(
        [
            x * np.cos(lean) - y * np.sin(lean),
            x * np.sin(lean) + y * np.cos(lean) + HIP,
            depth,
        ]
    )


def sample_looks(rng: Generator) -> Looks:
    """Draw the colours ``(3,)`` of skin, hair and clothes; pads are at the joints."""
    odd = rng.random() < ODD_COLOR_RATE
    hues = {
        name: rng.uniform(0, 360) if odd else rng.normal(hue, HUE_SPREAD)
        for name, hue in HUES.items()
    }
    bright, dim = rng.uniform(0.6, 0.95), rng.uniform(0.4, 0.75)
    strong, pale = rng.uniform(0.55, 0.9), rng.uniform(0.4, 0.8)
    skin = rng.uniform(12, 30), rng.uniform(0.25, 0.6), rng.uniform(0.5, 0.95)
    return {
        'skin': hsv_to_bgr(*skin),
        'nose': hsv_to_bgr(skin[0] - 10, min(1, skin[1] + 0.2), skin[2] * 0.8),
        'hair': hsv_to_bgr(rng.uniform(0, 45), rng.uniform(0.2, 0.8), dim * 0.6),
        'shirt': hsv_to_bgr(hues['shirt'], strong, bright),
        'sleeve': hsv_to_bgr(hues['shirt'] - 35, strong, bright * 0.8),
        'trousers': hsv_to_bgr(hues['trousers'], pale, dim),
        'knee pad': hsv_to_bgr(hues['pad'], strong, dim),
        'elbow pad': hsv_to_bgr(hues['pad'] + 90, strong, bright),
        'sock': hsv_to_bgr(hues['sock'], pale, min(1, dim + 0.2)),
        'shoe': hsv_to_bgr(hues['trousers'], pale, dim * 0.5),
        'white': np.ones(3, np.float32),
        'black': np.full(3, 0.08, np.float32),
    }


def build_parts(seen: Posture, looks: Looks, height: float) -> list[tuple[str, Part]]:
    """Give each part with the name of the point that it is to be shown with.

    Args:
        seen: x, y, depth of every point, in pixels.
        looks: colours by name.
        height: of the standing body, in pixels.
    """
    parts = []

    def add(look: str, start: str, end: str, *radii: float, lift: float = 0) -> None:
        ends = np.stack([seen[start], seen[end]])
        ends[:, 2] += lift * height
        joints = tuple(
            KEYPOINTS.index(name) for name in {start, end} if name in KEYPOINTS
        )
        first, last = radii[0] * height, radii[-1] * height
        parts.append((end, Part(ends, (first, last), looks[look], joints)))

    add('skin', 'head', 'head', RADIUS)
    add('hair', 'hair', 'hair', 1.03 * RADIUS)
    add('skin', 'head', 'neck', 0.04)
    add('nose', 'nose', 'nose', 0.13 * RADIUS)
    add('shirt', 'neck', 'left_hip', 0.05, 0.06)
    add('shirt', 'neck', 'right_hip', 0.05, 0.06)
    add('trousers', 'left_hip', 'right_hip', 0.062, lift=0.01)
    for side in SIDES:
        add('skin', f'{side}_ear', f'{side}_ear', 0.24 * RADIUS)
        add('white', f'{side}_eye', f'{side}_eye', 0.2 * RADIUS)
        add('black', f'{side}_eye', f'{side}_eye', 0.12 * RADIUS, lift=0.002)
        add('shirt', f'{side}_shoulder', f'{side}_hip', 0.052, 0.055)
        add('sleeve', f'{side}_shoulder', f'{side}_elbow', 0.046, 0.038, lift=0.005)
        add('skin', f'{side}_elbow', f'{side}_wrist', 0.034, 0.028, lift=0.01)
        add('elbow pad', f'{side}_elbow', f'{side}_elbow', 0.042, lift=0.012)
        add('skin', f'{side}_wrist', f'{side}_hand', 0.032, lift=0.01)
        add('trousers', f'{side}_hip', f'{side}_knee', 0.06, 0.046, lift=0.005)
        add('sock', f'{side}_knee', f'{side}_ankle', 0.042, 0.034)
        add('knee pad', f'{side}_knee', f'{side}_knee', 0.052, lift=0.007)
        add('shoe', f'{side}_ankle', f'{side}_toe', 0.036, 0.03)
    return parts


def _set_face(posture: Posture, turn: float) -> None:
    """Place nose, eyes and ears on a head that is turned on its neck, in radians."""
    for kind, (left, down, forward) in FACE.items():
        for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
            name = kind if kind == 'nose' else f'{side}_{kind}'
            x, y = sign * left, forward
            turned = (
                x * np.cos(turn) + y * np.sin(turn),
                down,
                y * np.cos(turn) - x * np.sin(turn),
            )
            posture[name] = posture['head'] + RADIUS * np.array(turned)


def _direction(raised: float, forward: float) -> ndarray:
    """Unit vector: degrees from straight down, and from sideways to forward."""
    up, ahead = np.radians((raised, forward))
    side = np.sin(up)
    return np.array([side * np.cos(ahead), np.cos(up), side * np.sin(ahead)])


def _bent(direction: ndarray, towards: ndarray, degrees: float) -> ndarray:
    """Turn a unit vector towards another vector."""
    across = towards - (towards @ direction) * direction
    across /= max(float(np.linalg.norm(across)), 1e-6)
    angle = np.radians(degrees)
    return np.cos(angle) * direction + np.sin(angle) * across
