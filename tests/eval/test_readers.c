/*
 * test_readers.c - annotation files: every benchmark of the program on small hand-made files in its publisher's form
 * (tests/data/eval/data), and files that are wrong.
 */
#include "support/scratch.h"

#include "eval/benchmark.h"
#include "eval/reader.h"
#include "eval/record.h"

static const char data[] = "tests/data/eval/data";

static void open_dataset(struct benchmark_table *t, struct dataset *d, const char *name)
{
    struct err e = { 0 };

    assert_int_equal(benchmark_table_builtin(t, &e), STATUS_OK);
    assert_non_null(benchmark_find(t, name));
    if (dataset_read(d, benchmark_find(t, name), data, &e) != STATUS_OK) fail_msg("%s: %s", name, e.text);
}

static void close_dataset(struct benchmark_table *t, struct dataset *d)
{
    dataset_free(d);
    benchmark_table_free(t);
}

/* ---- all of them ----------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    size_t n, unique, images;
} counts[] = {
    { "mme", 4, 4, 2 },
    { "okvqa_val", 3, 3, 2 },
    { "gqa_testdev", 3, 2, 1 },
    { "chartqa_test", 3, 3, 2 },
    { "refcoco_val", 2, 1, 1 },
    { "okvqa_official", 3, 3, 2 },
    { "gqa_official", 2, 2, 1 },
    { "ocrvqa_official", 2, 2, 1 },
    { "vsr_official", 2, 2, 2 },
    { "scienceqa_official", 1, 1, 1 },
    { "iconqa", 1, 1, 1 },
    { "seed_bench", 1, 1, 1 },
    { "mmbench_dev", 5, 5, 1 },
    { "mmbench_dev_cn", 2, 2, 1 },
    { "ccbench", 4, 4, 1 },
    { "pope", 6, 6, 1 },
    { "mme_official", 4, 4, 2 },
    { "refcoco_val_coco", 2, 2, 2 },
    { "coco_detection", 2, 2, 2 },
    { "coco_detection_category", 2, 2, 1 },
    { "coco_pose", 1, 1, 1 },
    { "imagenet", 3, 3, 3 },
};

/* Every entry of the table reads its hand-made files, and its prompts can be made. */
static void test_all(void **state)
{
    struct benchmark_table t;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(benchmark_table_builtin(&t, &e), STATUS_OK);
    for (size_t i = 0; i < t.n; i++) {
        struct arena a = { 0 };
        struct dataset d;

        if (dataset_read(&d, &t.rows[i], data, &e) != STATUS_OK) fail_msg("%s: %s", t.rows[i].name, e.text);
        assert_true(d.n > 0 && d.n_images > 0 && d.n_unique > 0);
        for (size_t j = 0; j < d.n; j++) {
            assert_int_equal(d.records[j].index, j);
            assert_non_null(record_prompt(&t.rows[i], &d.records[j], &a));
            assert_true(d.records[j].image[0] != '\0');
        }
        arena_free(&a);
        dataset_free(&d);
    }
    benchmark_table_free(&t);
}

static void test_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct benchmark_table t;
        struct dataset d;

        open_dataset(&t, &d, counts[i].name);
        if (d.n != counts[i].n || d.n_unique != counts[i].unique || d.n_images != counts[i].images)
            fail_msg("%s: %zu records, %zu unique, %zu images", counts[i].name, d.n, d.n_unique, d.n_images);
        close_dataset(&t, &d);
    }
}

/* ---- what records hold ----------------------------------------------------------------------------------------- */

static void test_unified(void **state)
{
    struct benchmark_table t;
    struct dataset d;

    (void)state;
    open_dataset(&t, &d, "mme");
    assert_string_equal(d.records[1].id, "1");
    assert_string_equal(d.records[1].image, "./data/MME_Benchmark_release_version/color/1.jpg");
    assert_string_equal(d.records[1].question, "Is it blue? Please answer yes or no.");
    assert_string_equal(d.records[1].answers[0], "No");
    assert_string_equal(d.records[1].category, "color");
    assert_string_equal(d.records[1].group, d.records[1].image);
    assert_null(d.remarks);
    close_dataset(&t, &d);

    open_dataset(&t, &d, "scienceqa_test");
    assert_string_equal(d.records[0].category, "natural science");
    close_dataset(&t, &d);

    open_dataset(&t, &d, "MMMU_val_single"); /* ids are not unique: the image's name stands for them */
    assert_string_equal(d.records[1].id, "validation_Art_2");
    assert_string_equal(d.records[1].question, "");
    assert_null(d.records[1].kind);
    close_dataset(&t, &d);

    open_dataset(&t, &d, "chartqa_test");
    assert_string_equal(d.records[0].category, "human");
    assert_string_equal(d.records[2].category, "augmented");
    close_dataset(&t, &d);
}

static void test_boxes(void **state)
{
    static const double want[4] = { 0, 373.89, 137.59, 500 };
    static const char *const names[] = { "refcoco_val", "refcoco_val_coco" };
    struct benchmark_table t;
    struct dataset d;

    (void)state;
    for (int i = 0; i < 2; i++) {
        open_dataset(&t, &d, names[i]);
        assert_true(d.records[0].has_box);
        assert_memory_equal(d.records[0].box, want, sizeof want);
        assert_true(d.records[0].width == 333 && d.records[0].height == 500);
        assert_string_equal(d.records[0].question, "the left cup");
        assert_string_equal(d.records[0].image, "data/coco/train2014/COCO_train2014_000000000001.jpg");
        close_dataset(&t, &d);
    }
}

/* The official annotations give ten answers and types; entries that do not differ are one answer. */
static void test_vqa(void **state)
{
    static const char *const names[] = { "okvqa_val", "okvqa_official" };
    static const uint8_t same[] = { 0, 0, 0, 0, 0, 0, 0, 0, 8, 8 };
    struct benchmark_table t;
    struct dataset d;

    (void)state;
    for (int i = 0; i < 2; i++) {
        open_dataset(&t, &d, names[i]);
        assert_string_equal(d.records[0].id, "110");
        assert_string_equal(d.records[0].image, "data/coco/val2014/COCO_val2014_000000000011.jpg");
        assert_int_equal(d.records[0].n_answers, 10);
        assert_string_equal(d.records[0].answers[5], "fishing");
        assert_string_equal(d.records[0].answers[6], "fish");
        assert_string_equal(d.records[0].category, "one");
        assert_string_equal(d.records[0].kind, "other");
        assert_null(d.records[0].answer_same); /* each has an answer_id */
        assert_string_equal(d.records[2].answers[1], "no one");
        close_dataset(&t, &d);
    }
    open_dataset(&t, &d, "textvqa_val");
    assert_int_equal(d.records[0].n_answers, 10);
    assert_memory_equal(d.records[0].answer_same, same, sizeof same);
    close_dataset(&t, &d);
}

static void test_mmbench(void **state)
{
    static const char *const ids[] = { "241", "1000241", "2000241", "252", "1000252" };
    static const char *const first[] = { "red", "blue", "green", "yes", "no" };
    static const char *const answer[] = { "B", "A", "C", "A", "B" };
    struct benchmark_table t;
    struct dataset d;

    (void)state;
    open_dataset(&t, &d, "mmbench_dev");
    for (int i = 0; i < 5; i++) {
        assert_string_equal(d.records[i].id, ids[i]);
        assert_string_equal(d.records[i].choices[0], first[i]);
        assert_string_equal(d.records[i].answers[0], answer[i]);
        assert_string_equal(d.records[i].group, i < 3 ? "241" : "252");
        assert_string_equal(d.records[i].image, "241");
        assert_ptr_equal(d.records[i].image_data, d.records[0].image_data);
    }
    assert_string_equal(d.records[0].question, "Which \"one\" is it?");
    assert_string_equal(d.records[0].hint, "Look\nclosely.");
    assert_null(d.records[3].hint);
    assert_memory_equal(d.records[0].image_data, "\x89PNG", 4);
    assert_string_equal(d.records[0].category, "attribute");
    close_dataset(&t, &d);

    open_dataset(&t, &d, "mmbench_dev_cn"); /* rotations are in the file */
    assert_string_equal(d.records[1].group, "1");
    assert_string_equal(d.records[1].choices[0], "蓝");
    close_dataset(&t, &d);
}

static void test_choices(void **state)
{
    struct benchmark_table t;
    struct dataset d;

    (void)state;
    open_dataset(&t, &d, "scienceqa_official");
    assert_string_equal(d.records[0].id, "5");
    assert_string_equal(d.records[0].hint, "Trees have leaves.");
    assert_string_equal(d.records[0].answers[0], "B"); /* index 1 */
    assert_string_equal(d.records[0].image, "data/scienceqa/images/test/5/image.png");
    close_dataset(&t, &d);

    open_dataset(&t, &d, "seed_bench");
    assert_int_equal(d.records[0].n_choices, 4);
    assert_string_equal(d.records[0].choices[3], "A car");
    assert_string_equal(d.records[0].answers[0], "C");
    assert_string_equal(d.records[0].image, "data/seed_bench/SEED-Bench-image/1_2");
    close_dataset(&t, &d);

    open_dataset(&t, &d, "iconqa");
    assert_string_equal(d.records[0].id, "17");
    assert_string_equal(d.records[0].answers[0], "C");
    close_dataset(&t, &d);

    open_dataset(&t, &d, "vsr_official");
    assert_string_equal(d.records[1].answers[0], "false");
    assert_string_equal(d.records[1].question,
                        "Is the following statement \"The cat is under the hat.\" true or false?");
    close_dataset(&t, &d);
}

static void test_folders(void **state)
{
    struct benchmark_table t;
    struct dataset d;

    (void)state;
    open_dataset(&t, &d, "mme_official");
    assert_string_equal(d.records[0].category, "artwork");
    assert_string_equal(d.records[0].image, "data/MME_Benchmark_release_version/artwork/images/7.jpg");
    assert_string_equal(d.records[0].answers[0], "Yes");
    assert_string_equal(d.records[3].image, "data/MME_Benchmark_release_version/color/1.jpg");
    assert_string_equal(d.records[3].answers[0], "No");
    assert_string_equal(d.records[3].group, d.records[2].group);
    close_dataset(&t, &d);

    open_dataset(&t, &d, "imagenet");
    assert_string_equal(d.records[0].image, "data/imagenet/val/n01440764/a.JPEG");
    assert_int_equal(d.records[0].n_answers, 2);
    assert_string_equal(d.records[0].answers[1], "Tinca tinca");
    assert_string_equal(d.records[2].answers[0], "goldfish");
    close_dataset(&t, &d);
}

static void test_coco(void **state)
{
    static const double bottle[4] = { 10, 20, 40, 60 };
    struct benchmark_table t;
    struct dataset d;

    (void)state;
    open_dataset(&t, &d, "coco_detection");
    assert_int_equal(d.records[0].n_objects, 3);
    assert_string_equal(d.records[0].objects[0].category, "person");
    assert_string_equal(d.records[0].objects[1].category, "bottle");
    assert_memory_equal(d.records[0].objects[1].box, bottle, sizeof bottle);
    assert_true(d.records[0].objects[1].area == 900.5);
    assert_false(d.records[0].objects[1].crowd);
    assert_true(d.records[0].objects[2].crowd);
    assert_int_equal(d.records[1].n_objects, 0);
    assert_true(d.records[0].width == 640 && d.records[0].height == 426);
    close_dataset(&t, &d);

    open_dataset(&t, &d, "coco_detection_category");
    assert_string_equal(d.records[1].question, "bottle");
    assert_int_equal(d.records[1].n_objects, 2);
    close_dataset(&t, &d);

    open_dataset(&t, &d, "coco_pose");
    assert_string_equal(d.records[0].question, "[0.00,0.17,0.16,0.48]"); /* 107 rows of padding above */
    assert_true(d.records[0].objects[0].posed);
    assert_true(d.records[0].objects[0].joint[0][0] == 50 && d.records[0].objects[0].joint[16][2] == 1);
    close_dataset(&t, &d);
}

static void test_judged(void **state)
{
    struct benchmark_table t;
    struct dataset d;

    (void)state;
    open_dataset(&t, &d, "llava-bench-in-the-wild");
    assert_string_equal(d.records[1].answers[0], "A lake below a hill.");
    assert_string_equal(d.records[1].context, "A photo of a lake.");
    assert_string_equal(d.records[1].category, "detail");
    close_dataset(&t, &d);

    open_dataset(&t, &d, "mm-vet");
    assert_string_equal(d.records[0].id, "v1_0");
    assert_string_equal(d.records[0].kind, "ocr,math");
    close_dataset(&t, &d);
}

/* ---- a user's own ---------------------------------------------------------------------------------------------- */

/* Reads a benchmark whose one file has this name and text; `options` as in an entry. */
static enum status read_own(struct benchmark_table *t, struct dataset *d, const char *name, const char *text,
                            size_t size, const char *options, struct err *e)
{
    char entry[2048];
    struct scratch scratch;
    enum status st;

    scratch_open(&scratch);
    snprintf(
        entry, sizeof entry,
        "{\"own\": {\"reader\": \"rows\", \"files\": {\"a\": \"%s\"}, \"prompt\": \"{}\", \"max_tokens\": 1, "
        "\"metric\": \"exact\", \"options\": %s}}",
        name, options);
    scratch_write(scratch_path(&scratch, "own.json"), entry, strlen(entry));
    scratch_write(scratch_path(&scratch, name), text, size);
    if (benchmark_table_read(t, scratch_path(&scratch, "own.json"), e) != STATUS_OK) fail_msg("%s", e->text);
    st = dataset_read(d, &t->rows[0], scratch.path, e);
    scratch_close(&scratch);
    return st;
}

static const char plain[] =
    "{\"image\": \"{image}\", \"question\": \"{question}\", \"answers\": \"answer\", \"id\": \"{id}\", "
    "\"unique_ids\": true}";

static void test_own(void **state)
{
    static const struct {
        const char *file, *text;
    } row[] = {
        { "a.json", "\xEF\xBB\xBF[{\"image\": \"a.jpg\", \"question\": \"Q, \\\"1\\\"?\", \"answer\": 2.5, "
                    "\"id\": 7}]" },
        { "a.jsonl",
          "\n{\"image\": \"a.jpg\", \"question\": \"Q, \\\"1\\\"?\", \"answer\": \"2.5\", \"id\": 7}\r\n\n" },
        { "a.json",
          "{\"image\": \"a.jpg\", \"question\": \"Q, \\\"1\\\"?\", \"answer\": \"2.5\", \"id\": 7}\n" },
        { "a.csv", "id,image,question,answer\n7,a.jpg,\"Q, \"\"1\"\"?\",2.5\n" },
        { "a.csv", "id,image,question,answer\r\n7,a.jpg,\"Q, \"\"1\"\"?\",2.5" },
        { "a.tsv", "answer\timage\tid\tquestion\n2.5\ta.jpg\t7\t\"Q, \"\"1\"\"?\"\n\n" },
        { "a.tsv", "answer\timage\tid\tquestion\n2.5\ta.jpg\t7\tQ, \"1\"?\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct benchmark_table t;
        struct dataset d;
        struct err e = { 0 };

        if (read_own(&t, &d, row[i].file, row[i].text, strlen(row[i].text), plain, &e) != STATUS_OK)
            fail_msg("%s: %s", row[i].text, e.text);
        assert_int_equal(d.n, 1);
        assert_string_equal(d.records[0].id, "7");
        assert_string_equal(d.records[0].image, "a.jpg");
        assert_string_equal(d.records[0].question, "Q, \"1\"?");
        assert_int_equal(d.records[0].n_answers, 1);
        assert_string_equal(d.records[0].answers[0], "2.5");
        close_dataset(&t, &d);
    }
}

/* Same questions, same digest; any change of what decides a prompt or a score, another. */
static void test_digest(void **state)
{
    static const struct {
        const char *text, *options;
    } row[] = {
        { "[{\"q\": \"1\", \"a\": \"2\", \"x\": 3}]", "{\"question\": \"{q}\", \"answers\": \"a\"}" },
        { "[{\"q\": \"1\", \"a\": \"3\"}]", "{\"question\": \"{q}\", \"answers\": \"a\"}" },
        { "[{\"q\": \"2\", \"a\": \"2\"}]", "{\"question\": \"{q}\", \"answers\": \"a\"}" },
        { "[{\"q\": \"1\", \"a\": \"2\"}]",
          "{\"question\": \"{q}\", \"answers\": \"a\", \"category\": \"{a}\"}" },
        { "[{\"q\": \"1\", \"a\": [\"2\", \"2\"]}]", "{\"question\": \"{q}\", \"answers\": \"a\"}" },
        { "[{\"q\": \"1\", \"a\": \"2\"}, {\"q\": \"1\", \"a\": \"2\"}]",
          "{\"question\": \"{q}\", \"answers\": \"a\"}" },
        { "[{\"q\": \"1\", \"a\": \"2\"}]", "{\"question\": \"{q}\", \"answers\": \"a\"}" },
    };
    enum { ROWS = sizeof row / sizeof *row };
    struct digest digest[ROWS];

    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        struct benchmark_table t;
        struct dataset d;
        struct err e = { 0 };

        assert_int_equal(read_own(&t, &d, "a.json", row[i].text, strlen(row[i].text), row[i].options, &e),
                         STATUS_OK);
        digest[i] = d.digest;
        close_dataset(&t, &d);
    }
    assert_true(digest_equal(&digest[0], &digest[ROWS - 1])); /* what is not read does not count */
    for (size_t i = 0; i < ROWS - 1; i++)
        for (size_t j = 0; j < i; j++) assert_false(digest_equal(&digest[i], &digest[j]));
}

/* ---- what is refused ------------------------------------------------------------------------------------------- */

#define RECORD "\"image\": \"a\", \"question\": \"q\", \"answer\": \"x\""

/* A file, what the sentence about it says, and options other than `plain`. */
static const struct {
    const char *file, *text, *says, *options;
} refused[] = {
    { "a.json", "", "want a list of records ('['), but the file ends", NULL },
    { "a.json", "[", "but the file ends", NULL },
    { "a.json", "[]", "hold no question", NULL },
    { "a.json", "[3]", "record 0: want an object ('{') at line 1", NULL },
    { "a.json", "[{" RECORD ", \"id\": 1}", "want ',' or ']', but the file ends", NULL },
    { "a.json", "[{" RECORD ", \"id\": 1},]", "record 1: want an object", NULL },
    { "a.json", "[{" RECORD ", \"id\": 1}] x", "something follows", NULL },
    { "a.json", "[{" RECORD ", \"id\": 1}\n,\n{\"a\" 3}]", "record 1: line 3:", NULL },
    { "a.json", "[{" RECORD ", \"id\": 1, \"id\": 2}]", "duplicate object key", NULL },
    { "a.json", "[{" RECORD ", \"id\": 1}, {" RECORD ", \"id\": \"1\"}]",
      "record 1: the id \"1\" was there before", NULL },
    { "a.json", "[{" RECORD "}]", "record 0: there is no id: a key of \"{id}\" is absent", NULL },
    { "a.json", "[{" RECORD ", \"id\": {}}]", "\"id\" must be a text or a number, not an object", NULL },
    { "a.json", "[{" RECORD ", \"id\": [[[[[1]]]]]}]", "lists in lists", NULL },
    { "a.json", "[{\"image\": \"a\", \"question\": \"q\", \"id\": 1}]", "there is no answer", NULL },
    { "a.json", "[{\"image\": \"a\", \"question\": \"q\", \"id\": 1, \"answer\": true}]",
      "\"answer\" must be texts or numbers, not true", NULL },
    { "a.json", "[{\"image\": \"\", \"question\": \"q\", \"id\": 1, \"answer\": 1}]", "there is no image",
      NULL },
    { "a.json", "[{" RECORD ", \"id\": \"\xff\"}]", "unable to decode byte", NULL },
    { "a.json", "[{" RECORD ", \"id\": \"a\\u0000b\"}]", "\\u0000", NULL },
    { "a.json", "[{" RECORD ", \"id\": 99999999999999999999}]", "too big integer", NULL },
    { "a.json", "[{" RECORD ", \"id\": 1e999}]", "real number overflow", NULL },
    { "a.jsonl", "{" RECORD ", \"id\": 1}\n[1]\n", "line 2: want an object", NULL },
    { "a.jsonl", "{" RECORD ", \"id\": 1}\n{\n", "line 2: ", NULL },
    { "a.txt", "x", "must end in .json, .jsonl, .tsv or .csv", NULL },
    { "a.csv", "", "no first line", NULL },
    { "a.csv", "id,id\n1,2\n", "two columns are called \"id\"", NULL },
    { "a.csv", "id,image,question,answer\n1,a,q\n", "line 2: 3 columns, but the first line has 4", NULL },
    { "a.csv", "id,image,question,answer\n1,a,q,x\n1,a,q,x\n", "line 3: the id \"1\" was there before",
      NULL },
    { "a.csv", "id,image,question,answer\n1,a,\"q\n\n,x\n", "line 2: a quote is opened and not closed",
      NULL },
    { "a.csv", "id,image,question,answer\n1,a,\"q\n\",x\n1,a,q,x\n", "line 4: the id", NULL },
    { "a.csv", "id,image,question,answer\n1,a,\xC3,x\n", "line 2: column 3 is not UTF-8", NULL },
    { "a.json", "{\"data\": [{}]}", "there is no list \"questions\"", "{\"list\": \"questions\"}" },
    { "a.json", "{\"x\": [1, {\"y\": \"]\"}, \"\\\"\"], \"l\": [{}, 4]}", "record 1: want an object",
      "{\"list\": \"l\"}" },
    { "a.json", "{\"l\": [{}], \"l\": [{}]}", "\"l\" is there twice", "{\"list\": \"l\"}" },
    { "a.json", "{\"l\": [{}], \"x\": [", "ends within a value", "{\"list\": \"l\"}" },
    { "a.json", "{\"l\": [{}], \"x\": \"", "does not end", "{\"list\": \"l\"}" },
    { "a.json", "{\"l\": [{}], x: 3}", "want a key in quotes", "{\"list\": \"l\"}" },
    { "a.json", "{\"l\": [{}], \"x\" 3}", "want a colon", "{\"list\": \"l\"}" },
    { "a.json", "{\"l\": [{}], \"x\": ]}", "want a value, not ']'", "{\"list\": \"l\"}" },
    { "a.jsonl", "{}", "can only be in a .json file", "{\"list\": \"l\"}" },
    { "a.json", "{\"m\": 3}", "record \"m\": want an object", "{\"list\": \"*\"}" },
    { "a.jsonl", "{\"c\": [\"x\", \"y\"], \"a\": 2}", "is not the number of one of 2 choices",
      "{\"choices\": \"c\", \"answers\": \"a\", \"answers_are\": \"indices\"}" },
    { "a.jsonl", "{\"a\": \"2\"}", "the answer \"2\" is none that was expected",
      "{\"answers\": \"a\", \"answers_are\": {\"1\": \"yes\"}}" },
    { "a.jsonl", "{\"a\": \"x\", \"c\": \"z\"}", "\"c\" is there, but one before it is not",
      "{\"choices\": [\"a\", \"b\", \"c\"]}" },
    { "a.jsonl", "{\"c\": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27]}",
      "27 choices, more than 26", "{\"choices\": \"c\"}" },
    { "a.jsonl", "{\"b\": [1, 2, 3]}", "\"b\" must be a list of 4 numbers", "{\"box\": \"b\"}" },
    { "a.jsonl", "{\"b\": [1, 2, 3, \"4\"]}", "but holds a text", "{\"box\": \"b\"}" },
    { "a.jsonl", "{\"b\": [1, 2, 1, 4]}", "holds nothing", "{\"box\": \"b\"}" },
    { "a.jsonl", "{\"b\": [1, 2, 3, 4], \"w\": -1}", "width must be a number of pixels",
      "{\"box\": \"b\", \"width\": \"{w}\"}" },
    { "a.jsonl", "{\"i\": \"!!!!\"}", "\"i\" is not base64", "{\"image_data\": \"i\"}" },
    { "a.jsonl", "{\"i\": \"AAA\"}", "\"i\" is not base64", "{\"image_data\": \"i\"}" },
    { "a.jsonl", "{\"i\": \"\"}", "must be an image in base64", "{\"image_data\": \"i\"}" },
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const char *options = refused[i].options != NULL ? refused[i].options : plain;
        struct benchmark_table t;
        struct dataset d;
        struct err e = { 0 };
        enum status st =
            read_own(&t, &d, refused[i].file, refused[i].text, strlen(refused[i].text), options, &e);

        if (st != STATUS_BAD_FORMAT || strstr(e.text, refused[i].says) == NULL)
            fail_msg("%s\nsays: %s\nwant: %s", refused[i].text, e.text, refused[i].says);
        assert_null(d.records);
        benchmark_table_free(&t);
    }
}

/* Zero bytes are no text, in any format. */
static void test_zero_bytes(void **state)
{
    static const char json[] = "[{\"id\": 1}\0]", csv[] = "id\na\0b\n";
    struct benchmark_table t;
    struct dataset d;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(read_own(&t, &d, "a.json", json, sizeof json - 1, "{}", &e), STATUS_BAD_FORMAT);
    benchmark_table_free(&t);
    err_clear(&e);
    assert_int_equal(read_own(&t, &d, "a.csv", csv, sizeof csv - 1, "{}", &e), STATUS_BAD_FORMAT);
    assert_non_null(strstr(e.text, "not UTF-8"));
    benchmark_table_free(&t);
}

/* Deep nesting is refused by the parser, not by the stack. */
static void test_deep(void **state)
{
    enum { DEPTH = 100000 };
    char *text = malloc(DEPTH + 32);
    struct benchmark_table t;
    struct dataset d;
    struct err e = { 0 };

    (void)state;
    assert_non_null(text);
    strcpy(text, "[{\"x\": ");
    memset(text + 7, '[', DEPTH);
    text[7 + DEPTH] = '\0';
    assert_int_equal(read_own(&t, &d, "a.json", text, strlen(text), "{}", &e), STATUS_BAD_FORMAT);
    assert_non_null(strstr(e.text, "record 0"));
    benchmark_table_free(&t);
    free(text);
}

/* Entries that name files which are not there, or that do not fit together. */
static void test_joins(void **state)
{
    static const struct {
        const char *truth, *says, *without;
    } row[] = {
        { NULL, "t.jsonl (the benchmark's \"t\") is not there", "" },
        { NULL, NULL, ", \"without\": \"No truth.\"" },
        { "{\"k\": \"1\", \"a\": \"x\"}", "there is nothing for record 1, whose id is \"2\"", "" },
        { "{\"k\": \"1\", \"a\": \"x\"}\n{\"k\": \"1\", \"a\": \"x\"}", "line 2: a second entry for \"1\"",
          "" },
        { "{\"a\": \"x\"}", "nothing to join by", "" },
        { "{\"k\": \"1\"}", "line 1: there is no answer", "" },
        { "{\"k\": 2, \"a\": \"x\"}\n{\"k\": \"3\", \"a\": \"y\"}\n{\"k\": \"1\", \"a\": \"z\"}\n", NULL,
          "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct benchmark_table t;
        struct scratch scratch;
        struct dataset d;
        struct err e = { 0 };
        char entry[1024];
        enum status st;

        scratch_open(&scratch);
        snprintf(entry, sizeof entry,
                 "{\"own\": {\"reader\": \"rows\", \"files\": {\"q\": \"q.jsonl\", \"t\": \"t.jsonl\"}, "
                 "\"prompt\": \"{}\", "
                 "\"max_tokens\": 1, \"metric\": \"exact\", \"options\": {\"id\": \"{i}\", \"join\": "
                 "[{\"file\": \"t\", "
                 "\"by\": \"{k}\", \"answers\": \"a\"%s}]}}}",
                 row[i].without);
        scratch_write(scratch_path(&scratch, "own.json"), entry, strlen(entry));
        scratch_write(scratch_path(&scratch, "q.jsonl"), "{\"i\": 1}\n{\"i\": 2}\n", 18);
        if (row[i].truth != NULL)
            scratch_write(scratch_path(&scratch, "t.jsonl"), row[i].truth, strlen(row[i].truth));
        assert_int_equal(benchmark_table_read(&t, scratch_path(&scratch, "own.json"), &e), STATUS_OK);
        st = dataset_read(&d, &t.rows[0], scratch.path, &e);
        if ((st == STATUS_OK) != (row[i].says == NULL)) fail_msg("%zu: %s", i, e.text);
        if (st != STATUS_OK && strstr(e.text, row[i].says) == NULL)
            fail_msg("%s\nwant: %s", e.text, row[i].says);
        if (st == STATUS_OK && row[i].truth == NULL) assert_string_equal(d.remarks, "No truth.");
        if (st == STATUS_OK && row[i].truth != NULL) assert_string_equal(d.records[0].answers[0], "z");
        dataset_free(&d);
        benchmark_table_free(&t);
        scratch_close(&scratch);
    }
}

/* ---- wrong files of the other formats -------------------------------------------------------------------------- */

static const struct {
    const char *reader, *files, *options, *name, *text, *says;
} others[] = {
    { "unified", "{\"a\": \"a.json\"}", "{\"box\": \"gt_answers\"}", "a.json",
      "[{\"image_path\": \"x\", \"question\": \"q\", \"question_id\": \"12\", \"gt_answers\": [1, 2, 3, 4]}]",
      "must hold the image's size" },
    { "unified", "{\"a\": \"a.json\"}", "{}", "a.json",
      "[{\"image_path\": \"x\", \"question\": \"q\", \"question_id\": \"12\"}]",
      "record 0: there is no answer" },
    { "mmbench", "{\"annotation\": \"a.tsv\"}", "{}", "a.tsv",
      "index\tquestion\tA\tB\tanswer\timage\nx\tq\ta\tb\tA\t1\n", "\"index\" must be a whole number" },
    { "mmbench", "{\"annotation\": \"a.tsv\"}", "{}", "a.tsv",
      "index\tquestion\tA\tB\tanswer\timage\n1\tq\ta\tb\tC\t1\n",
      "\"answer\" must be the letter of one of 2 choices, not \"C\"" },
    { "mmbench", "{\"annotation\": \"a.tsv\"}", "{}", "a.tsv",
      "index\tquestion\tA\tB\tanswer\timage\n1\tq\ta\t\tA\t1\n", "1 choices, want at least A and B" },
    { "mmbench", "{\"annotation\": \"a.tsv\"}", "{}", "a.tsv",
      "index\tquestion\tA\tB\tanswer\timage\n1\tq\ta\tb\tA\t1\n",
      "its image is to be that of row \"1\", which has none" },
    { "mmbench", "{\"annotation\": \"a.tsv\"}", "{}", "a.tsv",
      "index\tquestion\tA\tB\tanswer\timage\n1\tq\ta\tb\tA\t\n", "there is no \"image\"" },
    { "ocrvqa", "{\"annotation\": \"a.json\"}", "{\"image\": \"{#}.jpg\"}", "a.json",
      "{\"1\": {\"questions\": [\"a\", \"b\"], \"answers\": [\"c\"]}}",
      "record \"1\": 2 \"questions\", but 1 \"answers\"" },
    { "coco", "{\"annotation\": \"a.json\"}", "{\"folder\": \"x\", \"ask\": \"image\"}", "a.json",
      "{\"images\": [], \"annotations\": []}", "there is no list \"categories\"" },
    { "coco", "{\"annotation\": \"a.json\"}", "{\"folder\": \"x\", \"ask\": \"image\"}", "a.json",
      "{\"images\": [{\"id\": 1, \"file_name\": \"a\", \"width\": 0, \"height\": 3}], \"annotations\": [], "
      "\"categories\": []}",
      "\"width\" must be a number of at least 1" },
    { "coco", "{\"annotation\": \"a.json\"}", "{\"folder\": \"x\", \"ask\": \"image\"}", "a.json",
      "{\"images\": [], \"annotations\": [{\"image_id\": 1}], \"categories\": []}",
      "\"image_id\" is 1, which is not in the file" },
    { "iconqa", "{\"annotation\": \"b.json\", \"splits\": \"a.json\"}", "{\"split\": \"x\"}", "a.json",
      "{\"x\": [1]}", "entry 0 must be a text, not a number" },
    { "iconqa", "{\"annotation\": \"b.json\", \"splits\": \"a.json\"}", "{\"split\": \"y\"}", "a.json",
      "{\"x\": [\"1\"]}", "there is no list \"y\"" },
    { "folders", "{\"folder\": \".\", \"names\": \"a.txt\"}", "{}", "a.txt", "n1\n",
      "line 1: want a folder and the names" },
    { "folders", "{\"folder\": \".\", \"names\": \"a.txt\"}", "{}", "a.txt", "n1 a\nn1 b\n",
      "line 2: the folder \"n1\" was there" },
    { "folders", "{\"folder\": \"a.txt\"}", "{}", "a.txt", "x", "cannot be read as a folder" },
    { "mme", "{\"folder\": \".\"}", "{}", "color", "x", "hold no question" },
};

static void test_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct benchmark_table t;
        struct scratch scratch;
        struct dataset d;
        struct err e = { 0 };
        char entry[1024];

        scratch_open(&scratch);
        snprintf(entry, sizeof entry,
                 "{\"own\": {\"reader\": \"%s\", \"files\": %s, \"prompt\": \"{}\", \"max_tokens\": 1, "
                 "\"metric\": \"exact\", "
                 "\"options\": %s}}",
                 others[i].reader, others[i].files, others[i].options);
        scratch_write(scratch_path(&scratch, "own.json"), entry, strlen(entry));
        scratch_write(scratch_path(&scratch, others[i].name), others[i].text, strlen(others[i].text));
        if (benchmark_table_read(&t, scratch_path(&scratch, "own.json"), &e) != STATUS_OK)
            fail_msg("%s", e.text);
        assert_int_not_equal(dataset_read(&d, &t.rows[0], scratch.path, &e), STATUS_OK);
        if (strstr(e.text, others[i].says) == NULL) fail_msg("%s\nwant: %s", e.text, others[i].says);
        benchmark_table_free(&t);
        scratch_close(&scratch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),     cmocka_unit_test(test_counts),     cmocka_unit_test(test_unified),
        cmocka_unit_test(test_boxes),   cmocka_unit_test(test_vqa),        cmocka_unit_test(test_mmbench),
        cmocka_unit_test(test_choices), cmocka_unit_test(test_folders),    cmocka_unit_test(test_coco),
        cmocka_unit_test(test_judged),  cmocka_unit_test(test_own),        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_zero_bytes), cmocka_unit_test(test_deep),
        cmocka_unit_test(test_joins),   cmocka_unit_test(test_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
