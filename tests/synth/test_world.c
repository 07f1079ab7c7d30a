/* test_world.c - data sets: the same bytes for any number of threads, files that are JSON, and nothing left of what is given up. */
#include "support/fonts.h"
#include "support/scratch.h"

#include <jansson.h>
#include <stdatomic.h>

#include "core/file.h"
#include "synth/world_texts.h"

static struct world_options options(const char *out, int threads)
{
    struct world_options o = { .out = out,
                               .seed = 2,
                               .count = 300,
                               .domain = DOMAIN_BOTH,
                               .split = SPLIT_TEST,
                               .side = 64,
                               .turns = 1,
                               .masks = true,
                               .threads = threads };

    for (enum task t = 0; t < TASK_COUNT; t++) o.task[t] = true;
    return o;
}

static void write_world(struct world_result *r, const struct world_options *o)
{
    struct err e = { 0 };

    assert_int_equal(world_write(o, r, &e), STATUS_OK);
}

static void compare(const struct scratch *s, const char *name)
{
    char a[128], b[128];
    struct file_map x, y;
    struct err e = { 0 };

    snprintf(a, sizeof a, "one/%s", name);
    snprintf(b, sizeof b, "three/%s", name);
    assert_int_equal(file_map_open(&x, scratch_path(s, a), &e), STATUS_OK);
    assert_int_equal(file_map_open(&y, scratch_path(s, b), &e), STATUS_OK);
    assert_true(x.size > 0 && x.size == y.size);
    assert_memory_equal(x.data, y.data, x.size);
    file_map_close(&x);
    file_map_close(&y);
}

static json_t *read_json(const struct scratch *s, const char *folder, const char *name)
{
    char path[128];
    json_error_t error;
    json_t *root;

    snprintf(path, sizeof path, "one/%s/%s.json", folder, name);
    root = json_load_file(scratch_path(s, path), JSON_REJECT_DUPLICATES, &error);
    assert_non_null(root);
    return root;
}

/* Every record has an image that is there, and both sides of a conversation. */
static void check_records(const struct scratch *s, enum task task, size_t n)
{
    json_t *root = read_json(s, "annotations", task_rows[task].name), *record;
    size_t i;

    assert_int_equal(json_array_size(root), n);
    json_array_foreach(root, i, record)
    {
        json_t *turns = json_object_get(record, "conversations");
        char path[128];

        snprintf(path, sizeof path, "one/images/%s", json_string_value(json_object_get(record, "image")));
        assert_true(file_exists(scratch_path(s, path)));
        assert_int_equal(json_array_size(turns), 2);
        for (size_t k = 0; k < 2; k++) {
            json_t *turn = json_array_get(turns, k);

            assert_string_equal(json_string_value(json_object_get(turn, "from")), k == 0 ? "human" : "gpt");
            assert_true(json_string_length(json_object_get(turn, "value")) > 0);
        }
    }
    json_decref(root);
}

/* Records of the unified form, as many as there are conversations; or COCO's lists, whose references lead somewhere. */
static void check_truth(const struct scratch *s, enum task task, size_t n)
{
    json_t *root = read_json(s, "eval", task_rows[task].name);

    if (json_is_array(root)) {
        assert_int_equal(json_array_size(root), n);
    } else {
        json_t *objects = json_object_get(root, "annotations"), *object, *names = json_object();
        size_t i;

        json_array_foreach(json_object_get(root, "categories"), i, object)
            json_object_set(names, json_string_value(json_object_get(object, "id")), object);
        assert_int_equal(json_object_size(names), json_array_size(json_object_get(root, "categories")));
        assert_true(json_array_size(objects) >= json_array_size(json_object_get(root, "images")));
        json_array_foreach(objects, i, object) assert_non_null(
            json_object_get(names, json_string_value(json_object_get(object, "category_id"))));
        json_decref(names);
    }
    json_decref(root);
}

/* Every mask is of an image and a category, within its box, which is within the image; and there are all kinds. */
static void check_masks(const struct scratch *s, size_t n)
{
    json_t *root = read_json(s, "annotations", "masks"), *images = json_object_get(root, "images"), *mask;
    json_t *masks = json_object_get(root, "annotations");
    bool seen[SHAPE_COUNT + 2] = { false };
    size_t i;

    assert_int_equal(json_array_size(masks), n);
    assert_int_equal(json_array_size(images), 300);
    assert_int_equal(json_array_size(json_object_get(root, "categories")), SHAPE_COUNT + 1);
    json_array_foreach(masks, i, mask)
    {
        json_int_t image, category, area, size[2], box[4];
        const char *counts;

        assert_int_equal(json_unpack(mask, "{s:I, s:I, s:I, s:[I, I, I, I], s:{s:[I, I], s:s}}", "image_id",
                                     &image, "category_id", &category, "area", &area, "bbox", &box[0],
                                     &box[1], &box[2], &box[3], "segmentation", "size", &size[0], &size[1],
                                     "counts", &counts),
                         0);
        assert_true(image >= 0 && image < 300 && category >= 1 && category <= SHAPE_COUNT + 1);
        assert_int_equal(json_integer_value(json_object_get(json_array_get(images, (size_t)image), "height")),
                         size[0]);
        assert_true(box[0] >= 0 && box[1] >= 0 && box[0] + box[2] <= size[1] && box[1] + box[3] <= size[0]);
        assert_true(area > 0 && area <= box[2] * box[3] && counts[0] != '\0');
        seen[category] = true;
    }
    for (size_t k = 1; k <= SHAPE_COUNT + 1; k++) assert_true(seen[k]);
    json_decref(root);
}

static void test_files(void **state)
{
    struct world_result one, three;
    struct world_options o;
    struct scratch s;
    char name[64];

    (void)state;
    scratch_open(&s);
    o = options(scratch_path(&s, "one"), 1);
    write_world(&one, &o);
    o = options(scratch_path(&s, "three"), 3);
    write_world(&three, &o);
    assert_memory_equal(&one, &three, sizeof one);
    for (enum task t = 0; t < TASK_COUNT; t++) {
        assert_true(one.n_questions[t] > 0);
        snprintf(name, sizeof name, "annotations/%s.json", task_rows[t].name);
        compare(&s, name);
        snprintf(name, sizeof name, "eval/%s.json", task_rows[t].name);
        compare(&s, name);
        check_records(&s, t, one.n_questions[t]);
        check_truth(&s, t, one.n_questions[t]);
    }
    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "images/%06u.%s", i, i % 2 == 1 ? "jpg" : "png");
        compare(&s, name);
    }
    compare(&s, "annotations/masks.json");
    check_masks(&s, one.n_masks);
    compare(&s, "meta.yaml");
    compare(&s, "benchmarks.json");
    scratch_close(&s);
}

/* All questions, each once, at most so many in a conversation; and no others than with a file for each task. */
static void test_conversations(void **state)
{
    struct world_result r;
    struct world_options o;
    struct scratch s;
    json_t *root, *record;
    size_t i, turns = 0, all = 0, possible = 0;

    (void)state;
    scratch_open(&s);
    o = options(scratch_path(&s, "one"), 2);
    o.turns = 4;
    write_world(&r, &o);
    root = read_json(&s, "annotations", "mix");
    json_array_foreach(root, i, record)
    {
        size_t n = json_array_size(json_object_get(record, "conversations")) / 2;

        assert_true(n >= 1 && n <= 4);
        turns += n;
    }
    for (enum task t = 0; t < TASK_COUNT; t++) {
        all += r.n_questions[t];
        possible += task_rows[t].turns;
        check_truth(&s, t, r.n_questions[t]);
    }
    assert_int_equal(turns, all);
    assert_true(json_array_size(root) < all / 3);
    assert_true(possible <= TURNS_MAX);
    assert_false(file_exists(scratch_path(&s, "one/annotations/vqa.json")));
    json_decref(root);
    scratch_close(&s);
}

/* Stopped before the first scene: no folder, and nothing beside it. */
static void test_stopped(void **state)
{
    atomic_bool stop = true;
    struct report report = { .cancel = &stop };
    struct world_result r;
    struct world_options o;
    struct scratch s;
    struct err e = { 0 };

    (void)state;
    scratch_open(&s);
    o = options(scratch_path(&s, "none"), 2);
    o.report = &report;
    assert_int_equal(world_write(&o, &r, &e), STATUS_CANCELLED);
    assert_int_equal(rmdir(s.path), 0); /* it is empty */
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_files), cmocka_unit_test(test_conversations),
                                        cmocka_unit_test(test_stopped) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
