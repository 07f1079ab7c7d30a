/* op_map.c - ops on stacks of two-dimensional maps: patches, there and back, and depthwise convolution. See ops.h. */
#include "tensor/op_common.h"

struct map_shape map_planar(int64_t maps, int64_t channels, int64_t height, int64_t width)
{
    struct map_shape s = {
        maps, height, width, channels, channels * height * width, width, 1, height * width
    };

    return s;
}

struct map_shape map_rows(int64_t maps, int64_t channels, int64_t height, int64_t width)
{
    struct map_shape s = { maps,     height, width, channels, height * width * channels, width * channels,
                           channels, 1 };

    return s;
}

struct patches_args {
    struct tensor *y, *x;
    struct map_shape s;
    int patch;
};

static void patches_backward(struct ctx *c, const void *args)
{
    const struct patches_args *a = args;

    c->backend->patches_backward(&c->exec, a->y, a->x->grad, &a->s, a->patch);
}

struct tensor *patches(struct ctx *c, struct tensor *x, const struct map_shape *s, int patch)
{
    struct patches_args args = { NULL, x, *s, patch };

    if (x == NULL) return NULL;
    assert(x->dtype == DTYPE_F32 &&
           tensor_rows(x) * tensor_columns(x) == s->maps * s->channels * s->height * s->width);
    assert(tensor_rows(x) <= 1 || x->stride == tensor_columns(x));
    args.y = tensor_new(c, s->maps * (s->height / patch) * (s->width / patch), s->channels * patch * patch,
                        has_grad(x));
    if (args.y == NULL) return NULL;
    c->backend->patches(&c->exec, args.y, tensor_f32(x), s, patch);
    return has_grad(x) ? tape_record(c, args.y, patches_backward, &args, sizeof args) : args.y;
}

/* forward: y[place of (t, i)] = x[t, i]   so: dx[t, i] += dy[place of (t, i)] */
static void unpatches_backward(struct ctx *c, const void *args)
{
    const struct patches_args *a = args;
    struct tensor *dx = tensor_new(c, tensor_rows(a->x), tensor_columns(a->x), false);

    if (dx == NULL) return;
    c->backend->patches(&c->exec, dx, a->y->grad, &a->s, a->patch);
    for (int64_t t = 0; t < tensor_rows(dx); t++) {
        for (int64_t i = 0; i < tensor_columns(dx); i++)
            a->x->grad[t * a->x->stride + i] += tensor_f32(dx)[t * dx->stride + i];
    }
}

/* What `patches` takes apart its backward puts together: x is a gradient of patches, y that of the maps. */
struct tensor *unpatches(struct ctx *c, struct tensor *x, const struct map_shape *s, int patch)
{
    struct patches_args args = { NULL, x, *s, patch };
    struct tensor parts;

    if (x == NULL) return NULL;
    assert(s->height % patch == 0 && s->width % patch == 0);
    assert(tensor_rows(x) == s->maps * (s->height / patch) * (s->width / patch) &&
           tensor_columns(x) == s->channels * patch * patch);
    args.y = tensor_new(c, s->maps * s->height * s->width, s->channels, has_grad(x));
    if (args.y == NULL) return NULL;
    memset(args.y->data, 0, (size_t)(tensor_rows(args.y) * s->channels) * sizeof(float));
    parts = *x;
    parts.grad = tensor_f32(x);
    c->backend->patches_backward(&c->exec, &parts, tensor_f32(args.y), s, patch);
    return has_grad(x) ? tape_record(c, args.y, unpatches_backward, &args, sizeof args) : args.y;
}

struct depthwise_args {
    struct tensor *y, *x;
    const struct tensor *w, *bias;
    int64_t height, width;
    int size;
};

static void depthwise_conv_backward(struct ctx *c, const void *args)
{
    const struct depthwise_args *a = args;

    c->backend->depthwise_conv_backward(&c->exec, a->y, a->x, vec(a->w), vec_grad(a->w), vec_grad(a->bias),
                                        a->height, a->width, a->size);
}

struct tensor *depthwise_conv(struct ctx *c, struct tensor *x, const struct tensor *w,
                              const struct tensor *bias, int64_t height, int64_t width, int size)
{
    struct depthwise_args args = { NULL, x, w, bias, height, width, size };

    if (x == NULL || w == NULL || bias == NULL || ctx_stopped(c)) return NULL;
    assert(tensor_rows(x) % (height * width) == 0 && size % 2 == 1);
    args.y = tensor_new(c, tensor_rows(x), tensor_columns(x), has_grad(x) || has_grad(w) || has_grad(bias));
    if (args.y == NULL) return NULL;
    count_work(c, 2.0 * size * size * (double)(tensor_rows(x) * tensor_columns(x)), 0);
    c->backend->depthwise_conv(&c->exec, args.y, x, vec(w), vec(bias), height, width, size);
    return tape_record(c, args.y, depthwise_conv_backward, &args, sizeof args);
}
