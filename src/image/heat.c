/* heat.c - see heat.h. */
#include "image/heat.h"

#include <math.h>

/* At (x, y) in cells, interpolated between their middles; beyond the outermost as there. */
static double weight_at(const float *weights, int side, double x, double y)
{
    double edge = side - 1, column = fmin(fmax(x - 0.5, 0), edge), row = fmin(fmax(y - 0.5, 0), edge);
    int x0 = (int)column, y0 = (int)row, x1 = x0 + 1 < side ? x0 + 1 : x0, y1 = y0 + 1 < side ? y0 + 1 : y0;
    double fx = column - x0, fy = row - y0;
    double above = (1 - fx) * (double)weights[y0 * side + x0] + fx * (double)weights[y0 * side + x1];
    double below = (1 - fx) * (double)weights[y1 * side + x0] + fx * (double)weights[y1 * side + x1];

    return (1 - fy) * above + fy * below;
}

/* heat 0: the picture at half its light; 1: mostly a warm yellow. In between it passes through red. */
static void glow(unsigned char *rgb, double heat)
{
    const double color[3] = { 255, 230 * heat * heat, 40 * heat * heat * heat };
    double cover = 0.75 * heat, light = 0.5 + 0.5 * heat;

    for (int i = 0; i < 3; i++)
        rgb[i] = (unsigned char)lround((1 - cover) * light * rgb[i] + cover * color[i]);
}

void img_heat(struct image *im, const struct img_square *square, const float *weights, int side)
{
    double largest = 0;

    for (int i = 0; i < side * side; i++) largest = fmax(largest, (double)weights[i]);
    for (int y = 0; y < im->height; y++) {
        for (int x = 0; x < im->width; x++) {
            struct img_point at = img_square_from_pixels(square, (struct img_point){ x + 0.5, y + 0.5 });
            double heat = weight_at(weights, side, at.x * side, at.y * side);

            glow(im->rgb + ((size_t)y * (size_t)im->width + (size_t)x) * 3, largest > 0 ? heat / largest : 0);
        }
    }
}
