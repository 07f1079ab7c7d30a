/*
 * ask.c - one question about one image, through the public header alone. The answer streams out as it is computed; what it points
 * at follows, in pixels of the image.
 *
 *     cc ask.c $(pkg-config --cflags --libs sphinx) -o ask
 *     ./ask models/SPHINX-v2-1k cat.jpg "Where is the cat?"
 */
#include <sphinx.h>
#include <stdio.h>

static int put(void *user, const char *text, size_t size)
{
    (void)user;
    fwrite(text, 1, size, stdout);
    fflush(stdout);
    return 0; /* go on */
}

static void put_boxes(const sphinx_answer *answer)
{
    size_t i;

    for (i = 0; i < answer->n_boxes; i++) {
        const sphinx_box *b = &answer->boxes[i];

        printf("%s: %.0f,%.0f to %.0f,%.0f, confidence %.2f\n", b->label[0] != '\0' ? b->label : "box",
               b->box[0], b->box[1], b->box[2], b->box[3], b->confidence);
    }
}

int main(int argc, char **argv)
{
    sphinx_ask_options options = sphinx_ask_options_default();
    sphinx_model *model = NULL;
    sphinx_session *session = NULL;
    sphinx_answer *answer = NULL;
    sphinx_error error = { 0 };
    const char *paths[1];
    int rc = 1;

    if (argc != 4) {
        fprintf(stderr, "usage: ask MODEL IMAGE QUESTION\n");
        return 2;
    }
    options.temperature = 0; /* the most likely answer, the same every time */
    options.max_tokens = 128;
    options.piece = put;

    paths[0] = argv[1];
    if (sphinx_model_open(&model, paths, 1, NULL, &error) != SPHINX_OK) goto done;
    if (sphinx_session_open(&session, model, NULL, &error) != SPHINX_OK) goto done;
    if (sphinx_session_image_file(session, argv[2], &error) != SPHINX_OK) goto done;
    if (sphinx_ask(session, argv[3], &options, &answer, &error) != SPHINX_OK) goto done;
    putchar('\n');
    put_boxes(answer);
    rc = 0;

done:
    if (rc != 0) fprintf(stderr, "ask: %s\n", error.text);
    sphinx_answer_free(answer);
    sphinx_session_close(session);
    sphinx_model_close(model);
    return rc;
}
