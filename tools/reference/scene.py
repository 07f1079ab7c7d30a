"""Draws tests/data/images/scene.png, the picture that every golden looks at.

131 x 94 pixels on purpose: wider than high, both sides odd against each other, so that padding is
uneven (18 rows above, 19 below) and no view size divides it. Drawn without antialiasing or fonts,
so the bytes do not depend on the machine.
"""

import sys

from PIL import Image, ImageDraw

WIDTH, HEIGHT = 131, 94


def scene() -> Image.Image:
    image = Image.new("RGB", (WIDTH, HEIGHT))
    pixels = image.load()
    for y in range(HEIGHT):
        for x in range(WIDTH):
            pixels[x, y] = (40 + x, 90 + y, 235 - x // 2 - y // 2)  # sky: a gradient in all channels
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 66, WIDTH, HEIGHT), fill=(58, 120, 44))  # meadow
    draw.polygon([(12, 66), (38, 22), (64, 66)], fill=(128, 92, 84))  # mountain
    draw.polygon([(31, 34), (38, 22), (45, 34)], fill=(245, 245, 250))  # its snow
    draw.ellipse((98, 6, 121, 29), fill=(252, 214, 48))  # sun
    draw.rectangle((76, 46, 110, 80), fill=(190, 48, 40))  # house
    draw.polygon([(71, 46), (93, 31), (115, 46)], fill=(72, 40, 28))  # roof
    draw.rectangle((88, 60, 98, 80), fill=(30, 22, 18))  # door
    draw.rectangle((79, 51, 85, 57), fill=(250, 240, 160))  # window
    draw.line([(0, 93), (40, 75), (88, 81)], fill=(210, 190, 140), width=3)  # path
    for x in range(4, WIDTH, 9):
        draw.point([(x, 70 + x % 17), (x + 1, 71 + x % 17)], fill=(255, 90, 200))  # flowers
    return image


if __name__ == "__main__":
    scene().save(sys.argv[1], optimize=True)
