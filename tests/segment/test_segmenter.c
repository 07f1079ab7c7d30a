/* test_segmenter.c - masks through the public interface, in all their forms; and over the image that an answer is about. */
#include "image/draw.h"
#include "store/safetensors.h"
#include "support/scratch.h"
#include "support/sessions.h"

#include <math.h>

#define SAM     "tests/data/sam/tiny.pth"
#define PICTURE "tests/data/images/scene.png"

static const double box[4] = { 20, 15, 70, 60 };

static sphinx_segmenter *open_segmenter_of(const char *path)
{
    sphinx_segmenter *s;
    sphinx_error error = { 0 };

    if (sphinx_segmenter_open(&s, path, NULL, &error) != SPHINX_OK) fail_msg("%s", error.text);
    return s;
}

static sphinx_segmenter *open_segmenter(void)
{
    return open_segmenter_of(SAM);
}

static sphinx_image *open_image(const char *path)
{
    unsigned char *data;
    sphinx_image *image;
    size_t size;

    assert_int_equal(file_read(path, 1 << 20, &data, &size, NULL), STATUS_OK);
    assert_int_equal(sphinx_image_open(&image, data, size, path, NULL, NULL), SPHINX_OK);
    free(data);
    return image;
}

static sphinx_mask *make_mask(sphinx_segmenter *s, const sphinx_mask_prompt *prompt)
{
    sphinx_error error = { 0 };
    sphinx_mask *mask;

    if (sphinx_segmenter_mask(s, prompt, &mask, &error) != SPHINX_OK) fail_msg("%s", error.text);
    return mask;
}

/* The mask is what the public package finds (test_sam.c), where that is not within rounding of 0. */
static void a_mask_in_all_its_forms(void **state)
{
    const sphinx_mask_prompt prompt = { .box = box };
    sphinx_segmenter *s = open_segmenter();
    sphinx_image *image = open_image(PICTURE);
    struct safetensors_file want;
    struct scratch folder;
    struct image file = { 0 };
    size_t area = 0, n;
    const float *logits;
    sphinx_mask *mask;

    (void)state;
    assert_int_equal(sphinx_segmenter_image(s, image, NULL), SPHINX_OK);
    sphinx_image_close(image);
    mask = make_mask(s, &prompt);
    assert_int_equal(safetensors_open(&want, "tests/data/sam/scene.safetensors", NULL), STATUS_OK);
    logits = safetensors_find(&want, "box.full")->data;
    assert_int_equal(mask->width, 131);
    assert_int_equal(mask->height, 94);
    n = 131 * 94;
    for (size_t i = 0; i < n; i++) {
        if (fabsf(logits[i]) > 1e-3f) assert_int_equal(mask->pixels[i], logits[i] > 0 ? 255 : 0);
        area += mask->pixels[i] == 255;
    }
    assert_int_equal(mask->area, area);
    assert_true(area > n / 100 && area < n - n / 100);
    assert_true(fabs(mask->predicted_iou -
                     (double)((const float *)safetensors_find(&want, "box.iou")->data)[0]) < 1e-4);
    assert_true(strlen(mask->counts) > 10);
    scratch_open(&folder);
    assert_int_equal(sphinx_mask_write(mask, scratch_path(&folder, "m.png"), NULL), SPHINX_OK);
    assert_int_equal(img_read(&file, scratch_path(&folder, "m.png"), NULL, NULL), STATUS_OK);
    for (size_t i = 0; i < n; i++) assert_int_equal(file.rgb[3 * i + 1], mask->pixels[i]);
    img_free(&file);
    scratch_close(&folder);
    safetensors_close(&want);
    sphinx_mask_free(mask);
    sphinx_segmenter_close(s);
}

/* Points of the background are not those of the foreground. */
static void points_and_boxes(void **state)
{
    const sphinx_mask_point one[] = { { 40, 30, false } }, other[] = { { 40, 30, true } };
    const sphinx_mask_prompt prompts[] = { { .points = one, .n_points = 1 },
                                           { .points = other, .n_points = 1 },
                                           { .box = box, .points = one, .n_points = 1 } };
    sphinx_segmenter *s = open_segmenter();
    sphinx_image *image = open_image(PICTURE);
    double iou[3];

    (void)state;
    assert_int_equal(sphinx_segmenter_image(s, image, NULL), SPHINX_OK);
    for (int i = 0; i < 3; i++) {
        sphinx_mask *mask = make_mask(s, &prompts[i]);

        iou[i] = mask->predicted_iou;
        sphinx_mask_free(mask);
    }
    assert_true(iou[0] != iou[1] && iou[0] != iou[2] && iou[1] != iou[2]);
    sphinx_image_close(image);
    sphinx_segmenter_close(s);
}

static void cancelled_and_wrong(void **state)
{
    const sphinx_mask_prompt prompt = { .box = box }, none = { .box = NULL };
    sphinx_segmenter_options options = { .images = -1 };
    sphinx_segmenter *s = NULL;
    sphinx_image *image = open_image(PICTURE);
    sphinx_error error = { 0 };
    sphinx_mask *mask;

    (void)state;
    assert_int_equal(sphinx_segmenter_open(&s, SAM, &options, &error), SPHINX_BAD_ARGUMENT);
    assert_null(s);
    options = (sphinx_segmenter_options){ .threads = -1 };
    assert_int_equal(sphinx_segmenter_open(&s, SAM, &options, &error), SPHINX_BAD_ARGUMENT);
    assert_int_equal(sphinx_segmenter_open(&s, PICTURE, NULL, &error), SPHINX_BAD_FORMAT);
    s = open_segmenter();
    assert_int_equal(sphinx_segmenter_mask(s, &prompt, &mask, &error), SPHINX_BAD_ARGUMENT);
    assert_non_null(strstr(error.text, "sphinx_segmenter_image comes first"));
    sphinx_segmenter_cancel(s);
    assert_int_equal(sphinx_segmenter_image(s, image, &error), SPHINX_CANCELLED);
    assert_int_equal(sphinx_segmenter_mask(s, &prompt, &mask, &error), SPHINX_BAD_ARGUMENT);
    assert_int_equal(sphinx_segmenter_image(s, image, &error), SPHINX_OK);
    sphinx_segmenter_cancel(s);
    assert_int_equal(sphinx_segmenter_mask(s, &prompt, &mask, &error), SPHINX_CANCELLED);
    assert_null(mask);
    assert_int_equal(sphinx_segmenter_mask(s, &none, &mask, &error), SPHINX_BAD_ARGUMENT);
    sphinx_mask_free(make_mask(s, &prompt));
    sphinx_mask_free(NULL);
    sphinx_segmenter_close(s);
    sphinx_segmenter_close(NULL);
    sphinx_image_close(image);
}

/* The second picture: the masks of the boxes without their fractions, each in its color, over what was there. */
static void an_answer_s_masks(void **state)
{
    static const char picture[] = "examples/pictures/person.png";
    sphinx_ask_options options = sphinx_ask_options_default();
    sphinx_model *model = open_model("models/sphinx-nano.gguf", NULL);
    sphinx_session *session = open_session(model, NULL, picture);
    sphinx_segmenter *s = open_segmenter();
    sphinx_image *image = open_image(picture);
    struct image want = { 0 }, got = { 0 };
    struct scratch folder;
    sphinx_answer *answer;

    (void)state;
    options.temperature = 0;
    answer = ask(session, "Detect all people shown in the image.", &options);
    assert_int_equal(answer->n_boxes, 1);
    scratch_open(&folder);
    assert_int_equal(sphinx_answer_masks(session, answer, s, scratch_path(&folder, "m.png"), NULL),
                     SPHINX_OK);
    assert_int_equal(img_read(&got, scratch_path(&folder, "m.png"), NULL, NULL), STATUS_OK);
    assert_int_equal(img_read(&want, picture, NULL, NULL), STATUS_OK);
    assert_int_equal(sphinx_segmenter_image(s, image, NULL), SPHINX_OK);
    for (size_t i = 0; i < answer->n_boxes; i++) {
        const double *b = answer->boxes[i].box,
                     corners[4] = { trunc(b[0]), trunc(b[1]), trunc(b[2]), trunc(b[3]) };
        const sphinx_mask_prompt prompt = { .box = corners };
        sphinx_mask *mask = make_mask(s, &prompt);

        assert_true(mask->area > 0);
        img_blend_mask(&want, mask->pixels, img_colors[answer->boxes[i].color]);
        sphinx_mask_free(mask);
    }
    assert_memory_equal(got.rgb, want.rgb, 3 * (size_t)want.width * (size_t)want.height);
    img_free(&got);
    img_free(&want);
    scratch_close(&folder);
    sphinx_answer_free(answer);
    sphinx_image_close(image);
    sphinx_segmenter_close(s);
    sphinx_session_close(session);
    sphinx_model_close(model);
}

enum { SIDE = 200 };

/* On grey, a blue disc and, cut by the picture's right side, a red one: in `truth` which a pixel is of. */
static void draw_discs(struct image *im, unsigned char truth[SIDE * SIDE])
{
    static const struct {
        int x, y, r;
        unsigned char rgb[3];
    } discs[] = { { 70, 80, 40, { 40, 70, 200 } }, { 185, 150, 30, { 210, 40, 40 } } };

    assert_int_equal(img_init(im, SIDE, SIDE, NULL), STATUS_OK);
    memset(im->rgb, 205, 3 * (size_t)SIDE * SIDE);
    memset(truth, 0, (size_t)SIDE * SIDE);
    for (unsigned char k = 0; k < 2; k++) {
        for (int i = 0; i < SIDE * SIDE; i++) {
            int dx = i % SIDE - discs[k].x, dy = i / SIDE - discs[k].y;

            if (dx * dx + dy * dy > discs[k].r * discs[k].r) continue;
            truth[i] = (unsigned char)(k + 1);
            memcpy(im->rgb + 3 * (size_t)i, discs[k].rgb, 3);
        }
    }
}

/* The model that comes with the program finds what it never saw in this form: plain discs, by a box and by a point. */
static void the_bundled_one_cuts_out(void **state)
{
    static const double around[2][4] = { { 30, 40, 110, 120 }, { 155, 120, 200, 180 } };
    const sphinx_mask_point inside[2] = { { 75, 75, false }, { 185, 152, false } };
    sphinx_segmenter *s = open_segmenter_of("models/sphinx-sam-nano.gguf");
    static unsigned char truth[SIDE * SIDE];
    struct image drawn = { 0 };
    struct scratch folder;
    sphinx_image *image;

    (void)state;
    draw_discs(&drawn, truth);
    scratch_open(&folder);
    assert_int_equal(img_png_write(&drawn, scratch_path(&folder, "discs.png"), NULL), STATUS_OK);
    image = open_image(scratch_path(&folder, "discs.png"));
    assert_int_equal(sphinx_segmenter_image(s, image, NULL), SPHINX_OK);
    for (int i = 0; i < 4; i++) {
        const sphinx_mask_prompt prompt =
            i < 2 ? (sphinx_mask_prompt){ .box = around[i] }
                  : (sphinx_mask_prompt){ .points = inside + i - 2, .n_points = 1 };
        sphinx_mask *mask = make_mask(s, &prompt);
        double both = 0, either = 0;

        for (size_t p = 0; p < sizeof truth; p++) {
            bool is = truth[p] == i % 2 + 1, found = mask->pixels[p] != 0;

            both += is && found;
            either += is || found;
        }
        if (both < 0.8 * either) fail_msg("disc %d: IoU %.3f", i, both / either);
        sphinx_mask_free(mask);
    }
    sphinx_image_close(image);
    img_free(&drawn);
    scratch_close(&folder);
    sphinx_segmenter_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_mask_in_all_its_forms),
                                        cmocka_unit_test(points_and_boxes),
                                        cmocka_unit_test(cancelled_and_wrong),
                                        cmocka_unit_test(an_answer_s_masks),
                                        cmocka_unit_test(the_bundled_one_cuts_out) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
