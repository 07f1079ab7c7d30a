/* api.c - the public functions for models and sessions. See sphinx.h; what happens inside stands in load.h, session.h, ask.c. */
#include "backend/cpu/cpu.h"
#include "core/file.h"
#include "model/encode.h"
#include "model/guess.h"
#include "model/identity.h"
#include "model/public.h"
#include "model/session.h"
#include "text/conversation.h"
#include "text/utf8.h"

#include <assert.h>
#include <stdlib.h>

enum {
    CONTEXT_DEFAULT = 4096,
    CONTEXT_MAX = 1 << 20,
    THREADS_MAX = 1024,
    /* More would need more memory for activations than reading the weights again costs time; nearly all prompts fit. */
    CHUNK_DEFAULT = 2048,
    CHUNK_MIN = BATCH_ROWS + 1, /* fewer rows are not worth a call of their own */
};

#define X(code, text)                                                                                        \
    static_assert((int)STATUS_##code == (int)SPHINX_##code, "sphinx_status mirrors STATUS_MAP");
STATUS_MAP(X)
#undef X

sphinx_status public_status(enum status st, const struct err *e, sphinx_error *error)
{
    if (error != NULL) {
        error->code = (sphinx_status)st;
        memcpy(error->text, e->text, sizeof error->text);
        if (st == STATUS_OK) error->text[0] = '\0';
    }
    return (sphinx_status)st;
}

struct report public_report(const sphinx_report *r)
{
    return (struct report){ .progress = r->progress, .warn = r->warn, .user = r->user };
}

enum status public_threads(int *threads, int instead, struct err *e)
{
    if (*threads < 0 || *threads > THREADS_MAX) {
        return err_set(e, STATUS_BAD_ARGUMENT, "threads is %d: it may be 1 to %d, or 0 for the default",
                       *threads, THREADS_MAX);
    }
    if (*threads == 0) *threads = instead;
    return STATUS_OK;
}

const char *sphinx_version(void)
{
    return SPHINX_VERSION;
}

void sphinx_free(void *p)
{
    free(p);
}

/* ---- models ------------------------------------------------------------------------------------------------ */

static enum status check_options(const sphinx_model_options *o, struct err *e)
{
    if (o->context < 0 || o->context > CONTEXT_MAX) {
        return err_set(e, STATUS_BAD_ARGUMENT, "context is %d: it may be 1 to %d, or 0 for %d", o->context,
                       CONTEXT_MAX, CONTEXT_DEFAULT);
    }
    if (o->chunk < 0 || (o->chunk > 0 && o->chunk < CHUNK_MIN)) {
        return err_set(e, STATUS_BAD_ARGUMENT, "chunk is %d: it may be %d or more, or 0 for %d", o->chunk,
                       CHUNK_MIN, CHUNK_DEFAULT);
    }
    return STATUS_OK;
}

static enum status open_caches(sphinx_model *m, const sphinx_model_options *o, struct err *e)
{
    size_t bytes = o->prefix_cache_bytes > 0 ? (size_t)o->prefix_cache_bytes : prefix_cache_bytes_default();
    struct digest sight;
    enum status st;

    st = prefix_cache_init(&m->memory, o->prefix_cache_bytes < 0 ? 0 : bytes, e);
    if (st != STATUS_OK || o->image_cache == NULL || !m->network.sees) return st;
    identity_sight(&sight, &m->network, m->backend->level, m->precise);
    return image_cache_init(&m->images, o->image_cache, o->image_cache_bytes, &sight, e);
}

static enum status open_model(sphinx_model *m, const char *const *paths, int n_paths,
                              const sphinx_model_options *o, struct err *e)
{
    struct report report = public_report(&o->report);
    struct load_options load = { .paths = paths,
                                 .n_paths = n_paths,
                                 .llama_type = o->llama_type,
                                 .config_path = o->config_path,
                                 .tokenizer_path = o->tokenizer_path,
                                 .adapters = o->adapters,
                                 .n_adapters = o->n_adapters,
                                 .ranks = 1,
                                 .report = &report };
    struct model_config config;
    enum status st = check_options(o, e);

    m->threads = o->threads;
    if (st == STATUS_OK) st = public_threads(&m->threads, cpu_threads_default(), e);
    m->context = o->context > 0 ? o->context : CONTEXT_DEFAULT;
    m->chunk = o->chunk > 0 ? o->chunk : CHUNK_DEFAULT;
    m->precise = o->precise;
    if (st == STATUS_OK) st = cpu_backend(o->cpu, &m->backend, e);
    if (st == STATUS_OK) st = ckpt_open(&m->checkpoint, paths, n_paths, &report, e);
    if (st == STATUS_OK) st = load_config(&config, &m->tokenizer, &load, m->checkpoint, e);
    if (st == STATUS_OK && o->clip_exact_gelu) config.clip.act = ACT_GELU_ERF;
    if (st == STATUS_OK) st = network_init(&m->network, &config, e);
    if (st == STATUS_OK) st = load_weights(&m->network, m->checkpoint, &load, e);
    if (st == STATUS_OK) st = kv_pool_init(&m->kv, &config.llama, 1, m->context, e);
    if (st == STATUS_OK) st = open_caches(m, o, e);
    return st;
}

sphinx_status sphinx_model_open(sphinx_model **model, const char *const *paths, int n_paths,
                                const sphinx_model_options *options, sphinx_error *error)
{
    static const sphinx_model_options defaults;
    double start = clock_seconds();
    struct err e = { 0 };
    enum status st;

    *model = NULL;
    if (n_paths < 1) return public_status(err_set(&e, STATUS_BAD_ARGUMENT, "no model was named"), &e, error);
    *model = calloc(1, sizeof **model);
    if (*model == NULL) return public_status(err_no_memory(&e, "model"), &e, error);
    st = open_model(*model, paths, n_paths, options != NULL ? options : &defaults, &e);
    if (st != STATUS_OK) {
        sphinx_model_close(*model);
        *model = NULL;
    } else {
        (*model)->seconds_load = clock_seconds() - start;
    }
    return public_status(st, &e, error);
}

void sphinx_model_close(sphinx_model *m)
{
    if (m == NULL) return;
    prefix_cache_free(&m->memory);
    image_cache_free(&m->images);
    kv_pool_free(&m->kv);
    network_free(&m->network);
    ckpt_close(m->checkpoint);
    vocabulary_free(atomic_load(&m->vocabulary));
    tok_close(m->tokenizer);
    free(m);
}

static void count_visit(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    uint64_t n = 1;

    for (int i = 0; i < p->n_dims; i++) n *= (uint64_t)p->dim[i];
    if (slot != NULL) *(uint64_t *)v->user += n;
}

void sphinx_model_get_info(const sphinx_model *m, sphinx_model_info *info)
{
    const struct model_config *k = &m->network.config;
    uint64_t parameters = 0;
    struct param_visitor v = { .visit = count_visit, .user = &parameters };

    network_params((struct network *)(uintptr_t)&m->network, &v); /* visits only; changes nothing */
    *info = (sphinx_model_info){ .llama_type = k->variant->llama_type,
                                 .name = k->variant->name,
                                 .cpu = m->backend->level,
                                 .sees = m->network.sees,
                                 .image_size = k->views.image_size,
                                 .views = img_views_count(k->views.layout),
                                 .image_words = (int)encode_words(&m->network),
                                 .context = m->context,
                                 .vocab = k->llama.vocab,
                                 .width = k->llama.dim,
                                 .layers = k->llama.n_layers,
                                 .threads = m->threads,
                                 .parameters = parameters,
                                 .seconds_load = m->seconds_load };
}

void sphinx_model_identity(const sphinx_model *m, char *hex)
{
    struct digest d;

    identity_model(&d, &m->network);
    digest_hex(&d, hex);
}

sphinx_status sphinx_tokenize(const sphinx_model *m, const char *text, size_t size, bool bos, int32_t **ids,
                              size_t *n_ids, sphinx_error *error)
{
    struct err e = { 0 };
    enum status st = text_utf8_check("the text", text, size, NULL, &e);

    if (st == STATUS_OK) st = tok_encode(m->tokenizer, text, size, bos ? TOK_BOS : 0, ids, n_ids, &e);
    return public_status(st, &e, error);
}

sphinx_status sphinx_detokenize(const sphinx_model *m, const int32_t *ids, size_t n_ids, char **text,
                                size_t *size, sphinx_error *error)
{
    struct err e = { 0 };
    enum status st = tok_decode(m->tokenizer, ids, n_ids, text, size, &e);

    return public_status(st, &e, error);
}

sphinx_status sphinx_token_text(const sphinx_model *m, int32_t id, char **text, size_t *size,
                                sphinx_error *error)
{
    struct err e = { 0 };
    enum status st = STATUS_OK;

    *text = NULL;
    if (id < 0 || id >= tok_vocab_size(m->tokenizer)) {
        st = err_set(&e, STATUS_BAD_ARGUMENT, "token %d is outside the vocabulary of %d", (int)id,
                     (int)tok_vocab_size(m->tokenizer));
    } else {
        *text = malloc(tok_step_size_max(m->tokenizer) + 1);
        if (*text == NULL) st = err_no_memory(&e, "token");
    }
    if (st == STATUS_OK) {
        *size = tok_bytes(m->tokenizer, id, *text);
        (*text)[*size] = '\0';
    }
    return public_status(st, &e, error);
}

/* ---- sessions ---------------------------------------------------------------------------------------------- */

static enum status kv_dtype(const sphinx_model *m, const char *name, enum dtype *dtype, struct err *e)
{
    static const enum dtype allowed[] = { DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_Q8_0 };

    if (name == NULL) {
        *dtype = m->precise || m->network.llama.layers[0].wq.dtype == DTYPE_F32 ? DTYPE_F32 : DTYPE_F16;
        return STATUS_OK;
    }
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++) {
        if (strcmp(name, dtype_info(allowed[i])->name) == 0) {
            *dtype = allowed[i];
            return STATUS_OK;
        }
    }
    return err_set(e, STATUS_BAD_ARGUMENT,
                   "unknown key/value cache type \"%.20s\": it may be f32, f16, bf16 or q8_0", name);
}

/* What is switched off must be there. Which encoders are is the variant's matter, so that one list serves all of them. */
static enum status check_without(const sphinx_model *m, unsigned without, struct err *e)
{
    int count = img_views_count(m->network.config.views.layout);
    unsigned views = without / SPHINX_VIEW;

    if (!m->network.sees || views >> count == 0) return STATUS_OK;
    return err_set(e, STATUS_BAD_ARGUMENT, "view %d cannot be switched off: the model has %d, counted from 0",
                   31 - __builtin_clz(views), count);
}

static enum status open_session(struct sphinx_session *s, sphinx_model *m, const sphinx_session_options *o,
                                struct err *e);

static enum status open_draft(struct sphinx_session *s, const sphinx_session_options *o, struct err *e)
{
    sphinx_session_options options = *o;
    enum status st = guess_check_draft(s->model, o->draft, e);

    options.draft = NULL;
    options.kv_type = NULL;
    if (st != STATUS_OK) return st;
    s->draft = calloc(1, sizeof *s->draft);
    if (s->draft == NULL) return err_no_memory(e, "session of the draft model");
    st = open_session(s->draft, o->draft, &options, e);
    s->draft->report.cancel = &s->cancel;
    return st;
}

static enum status open_session(struct sphinx_session *s, sphinx_model *m, const sphinx_session_options *o,
                                struct err *e)
{
    enum dtype dtype = DTYPE_F32;
    int threads = o->threads;
    enum status st;

    s->model = m;
    s->report = public_report(&o->report);
    s->report.cancel = &s->cancel;
    s->without = o->without;
    s->independent = o->independent;
    s->image_options = (struct img_options){ .pixels_max = o->pixels_max, .apply_exif = o->apply_exif };
    s->system = strdup(o->system != NULL ? o->system : conv_system_default);
    s->system_given = o->system != NULL;
    s->cached = malloc((size_t)m->context * sizeof *s->cached);
    if (s->system == NULL || s->cached == NULL) return err_no_memory(e, "session");
    st = check_without(m, o->without, e);
    if (st == STATUS_OK) st = public_threads(&threads, m->threads, e);
    if (st == STATUS_OK) st = text_utf8_check("the system sentence", s->system, strlen(s->system), NULL, e);
    if (st == STATUS_OK) st = kv_dtype(m, o->kv_type, &dtype, e);
    if (st == STATUS_OK) st = kv_slot_open(&s->kv, &m->kv, dtype, e);
    if (st == STATUS_OK) st = ctx_init(&s->ctx, m->backend, &s->arena, threads, e);
    if (st == STATUS_OK) {
        s->ctx.report = &s->report;
        s->ctx.exec.precise = m->precise;
    }
    if (st == STATUS_OK && o->draft != NULL) st = open_draft(s, o, e);
    return st;
}

sphinx_status sphinx_session_open(sphinx_session **session, sphinx_model *model,
                                  const sphinx_session_options *options, sphinx_error *error)
{
    static const sphinx_session_options defaults;
    struct err e = { 0 };
    enum status st;

    *session = calloc(1, sizeof **session);
    if (*session == NULL) return public_status(err_no_memory(&e, "session"), &e, error);
    st = open_session(*session, model, options != NULL ? options : &defaults, &e);
    if (st != STATUS_OK) {
        sphinx_session_close(*session);
        *session = NULL;
    }
    return public_status(st, &e, error);
}

void sphinx_session_close(sphinx_session *s)
{
    if (s == NULL) return;
    session_drop_image(s);
    sphinx_session_close(s->draft);
    free(s->turns);
    sampler_free(&s->sampler);
    kv_slot_close(&s->kv, &s->model->kv);
    free(s->cached);
    ctx_free(&s->ctx);
    arena_free(&s->arena);
    free(s->system);
    free(s);
}

static enum status decode(sphinx_image *image, const void *data, size_t size, const char *name,
                          const struct img_options *options, struct err *e)
{
    image->apply_exif = options->apply_exif;
    identity_file(&image->file, data, size);
    return img_decode(&image->im, data, size, name, options, e);
}

sphinx_status sphinx_image_open(sphinx_image **image, const void *data, size_t size, const char *name,
                                const sphinx_session_options *o, sphinx_error *error)
{
    struct img_options options = { 0 };
    struct err e = { 0 };
    enum status st;

    *image = calloc(1, sizeof **image);
    if (*image == NULL) return public_status(err_no_memory(&e, "image"), &e, error);
    if (o != NULL) options = (struct img_options){ .pixels_max = o->pixels_max, .apply_exif = o->apply_exif };
    st = decode(*image, data, size, name, &options, &e);
    if (st != STATUS_OK) {
        sphinx_image_close(*image);
        *image = NULL;
    }
    return public_status(st, &e, error);
}

void sphinx_image_close(sphinx_image *image)
{
    if (image == NULL) return;
    img_free(&image->im);
    free(image);
}

void sphinx_image_size(const sphinx_image *image, int *width, int *height)
{
    *width = image->im.width;
    *height = image->im.height;
}

/* Takes im over on success. */
static enum status set_image(sphinx_session *s, const sphinx_image *image, struct image *im, struct err *e)
{
    struct image_settings settings = { image->apply_exif, s->without };
    struct digest key;
    enum status st;

    identity_image(&key, &image->file, &settings);
    st = session_set_image(s, im, &key, e);
    atomic_store(&s->cancel, false);
    return st;
}

sphinx_status sphinx_session_image(sphinx_session *s, const sphinx_image *image, sphinx_error *error)
{
    struct image copy = { 0 };
    struct err e = { 0 };
    enum status st = STATUS_OK;

    if (image->apply_exif != s->image_options.apply_exif)
        st = err_set(&e, STATUS_BAD_ARGUMENT,
                     "the image was opened with another setting of apply_exif than the session's");
    if (st == STATUS_OK) st = img_copy(&copy, &image->im, &e);
    if (st == STATUS_OK) st = set_image(s, image, &copy, &e);
    img_free(&copy);
    return public_status(st, &e, error);
}

static enum status set_image_file(sphinx_session *s, const void *data, size_t size, const char *name,
                                  struct err *e)
{
    sphinx_image image = { 0 };
    enum status st = decode(&image, data, size, name, &s->image_options, e);

    if (st == STATUS_OK) st = set_image(s, &image, &image.im, e);
    atomic_store(&s->cancel, false);
    img_free(&image.im);
    return st;
}

sphinx_status sphinx_session_image_memory(sphinx_session *s, const void *data, size_t size, const char *name,
                                          sphinx_error *error)
{
    struct err e = { 0 };
    enum status st = set_image_file(s, data, size, name, &e);

    return public_status(st, &e, error);
}

sphinx_status sphinx_session_image_file(sphinx_session *s, const char *path, sphinx_error *error)
{
    unsigned char *data = NULL;
    struct err e = { 0 };
    size_t size = 0;
    enum status st = file_read(path, IMG_FILE_SIZE_MAX, &data, &size, &e);

    if (st == STATUS_OK)
        st = set_image_file(s, data, size, strcmp(path, "-") == 0 ? "standard input" : path, &e);
    free(data);
    return public_status(st, &e, error);
}

bool sphinx_session_has_image(const sphinx_session *s)
{
    return s->words != NULL;
}

void sphinx_session_image_clear(sphinx_session *s)
{
    session_drop_image(s);
}

size_t sphinx_session_turns(const sphinx_session *s)
{
    return s->n_turns;
}

bool sphinx_session_turn(const sphinx_session *s, size_t i, const char **question, const char **answer)
{
    if (i >= s->n_turns) return false;
    *question = s->turns[i].question;
    *answer = s->turns[i].answer;
    return true;
}

bool sphinx_session_undo(sphinx_session *s)
{
    if (s->n_turns == 0) return false;
    s->n_turns--;
    free(s->turns[s->n_turns].question);
    free(s->turns[s->n_turns].answer);
    return true;
}

void sphinx_session_clear(sphinx_session *s)
{
    session_clear_turns(s);
}

sphinx_status sphinx_session_append(sphinx_session *s, const char *question, const char *answer,
                                    sphinx_error *error)
{
    struct err e = { 0 };
    enum status st = text_utf8_check("the question", question, strlen(question), NULL, &e);

    if (st == STATUS_OK) st = text_utf8_check("the answer", answer, strlen(answer), NULL, &e);
    if (st == STATUS_OK) st = session_append(s, question, answer, &e);
    return public_status(st, &e, error);
}

sphinx_status sphinx_session_system(sphinx_session *s, const char *system, sphinx_error *error)
{
    const char *text = system != NULL ? system : conv_system_default;
    struct err e = { 0 };
    enum status st = text_utf8_check("the system sentence", text, strlen(text), NULL, &e);
    char *copy = st == STATUS_OK ? strdup(text) : NULL;

    if (st == STATUS_OK && copy == NULL) st = err_no_memory(&e, "session");
    if (st == STATUS_OK) {
        free(s->system);
        s->system = copy;
        s->system_given = system != NULL;
    }
    if (st == STATUS_OK && s->draft != NULL) return sphinx_session_system(s->draft, system, error);
    return public_status(st, &e, error);
}

void sphinx_session_cancel(sphinx_session *s)
{
    atomic_store(&s->cancel, true);
}
