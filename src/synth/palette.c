/* palette.c - see palette.h. */
#include "synth/palette.h"

struct tone palette_color(enum color color)
{
    static const struct tone tones[COLOR_COUNT] = {
        [COLOR_RED] = { 0.84, 0.13, 0.13 },    [COLOR_ORANGE] = { 0.98, 0.52, 0.06 },
        [COLOR_YELLOW] = { 0.98, 0.87, 0.12 }, [COLOR_GREEN] = { 0.13, 0.58, 0.22 },
        [COLOR_BLUE] = { 0.12, 0.33, 0.83 },   [COLOR_PURPLE] = { 0.5, 0.18, 0.63 },
        [COLOR_PINK] = { 0.98, 0.58, 0.75 },   [COLOR_BLACK] = { 0.09, 0.09, 0.09 },
        [COLOR_WHITE] = { 0.99, 0.99, 0.99 },
    };

    return tones[color];
}

struct tone palette_second(enum color color)
{
    struct tone t = palette_color(color);
    bool dark = 0.3 * t.r + 0.59 * t.g + 0.11 * t.b < 0.45;
    double keep = dark ? 0.28 : 0.55, white = dark ? 0.72 : 0;

    return (struct tone){ keep * t.r + white, keep * t.g + white, keep * t.b + white };
}

struct tone palette_ground(enum ground ground)
{
    static const struct tone tones[GROUND_COUNT] = {
        [GROUND_GRAY] = { 0.84, 0.84, 0.85 },
        [GROUND_CREAM] = { 0.95, 0.91, 0.79 },
        [GROUND_SKY] = { 0.76, 0.87, 0.96 },
        [GROUND_MINT] = { 0.79, 0.92, 0.81 },
    };

    return tones[ground];
}
