/* run_files.c - see run_files.h. */
#include "train/run_files.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/folder.h"
#include "train/run_plot.h"
#include "train/run_state.h"

#define LOG_NAME "log.jsonl"

enum { NAME_SIZE = 64 };

/* ---- names ------------------------------------------------------------------------------------------------- */

/* Which checkpoint a name means; they are ordered by epoch, then by iteration, whose largest value is the epoch's end. */
struct mark {
    size_t epoch, iteration;
};

static struct mark mark_of(const struct trainer *t)
{
    const struct run_position *p = &t->position;

    if (p->epoch_step == 0) return (struct mark){ p->epoch - 1, SIZE_MAX };
    return (struct mark){ p->epoch, p->epoch_step * t->config->accum_iter - 1 };
}

static const char *mark_name(struct mark m, char *name)
{
    if (m.iteration == SIZE_MAX)
        snprintf(name, NAME_SIZE, "epoch%zu", m.epoch);
    else
        snprintf(name, NAME_SIZE, "epoch%zu-iter%zu", m.epoch, m.iteration);
    return name;
}

static bool mark_parse(const char *text, struct mark *m)
{
    char again[NAME_SIZE];

    *m = (struct mark){ 0, SIZE_MAX };
    if (sscanf(text, "epoch%zu-iter%zu", &m->epoch, &m->iteration) < 1) return false;
    return strcmp(mark_name(*m, again), text) == 0; /* nothing behind it, no spaces or signs */
}

static bool is_before(struct mark a, struct mark b)
{
    return a.epoch != b.epoch ? a.epoch < b.epoch : a.iteration < b.iteration;
}

/* ---- the folder's entries ------------------------------------------------------------------------------------ */

struct marks {
    struct mark *item; /* [n] oldest first */
    size_t n;
};

static int mark_compare(const void *a, const void *b)
{
    const struct mark *x = a, *y = b;

    return is_before(*x, *y) ? -1 : is_before(*y, *x) ? 1 : 0;
}

static enum status marks_read(struct marks *all, const char *folder, struct err *e)
{
    DIR *d = opendir(folder);
    struct dirent *entry;
    enum status st = STATUS_OK;

    *all = (struct marks){ 0 };
    if (d == NULL && errno == ENOENT) return STATUS_OK;
    if (d == NULL) return err_set(e, STATUS_IO, "%s: cannot be listed: %s", folder, strerror(errno));
    while (st == STATUS_OK && (entry = readdir(d)) != NULL) {
        struct mark m, *more;

        if (!mark_parse(entry->d_name, &m)) continue;
        more = realloc(all->item, (all->n + 1) * sizeof *more);
        if (more == NULL) {
            st = err_no_memory(e, folder);
            break;
        }
        all->item = more;
        all->item[all->n++] = m;
    }
    closedir(d);
    if (all->n > 1) qsort(all->item, all->n, sizeof *all->item, mark_compare);
    return st;
}

/* What was being written, or removed, when a run was killed. */
static bool is_left_over(const char *name)
{
    static const char *const ours[] = { "epoch", "loss.svg", "failed-step" };

    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        if (strncmp(name, ours[i], strlen(ours[i])) == 0) return strstr(name, ".tmp-") != NULL;
    }
    return false;
}

static enum status clean(const char *folder, struct err *e)
{
    DIR *d = opendir(folder);
    struct dirent *entry;

    if (d == NULL) return err_set(e, STATUS_IO, "%s: cannot be listed: %s", folder, strerror(errno));
    while ((entry = readdir(d)) != NULL) {
        char *path;

        if (!is_left_over(entry->d_name)) continue;
        path = path_join(folder, entry->d_name);
        if (path != NULL && unlink(path) != 0) folder_remove(path);
        free(path);
    }
    closedir(d);
    return STATUS_OK;
}

/* With the folders above it. */
static enum status folder_make(const char *path, struct err *e)
{
    char *part = strdup(path);
    enum status st = part != NULL ? STATUS_OK : err_no_memory(e, path);

    for (char *end = part; st == STATUS_OK && end != NULL; *end = '/') {
        end = strchr(end + 1, '/');
        if (end != NULL) *end = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            st = err_set(e, STATUS_IO, "%s: cannot make the folder: %s", part, strerror(errno));
        if (end == NULL) break;
    }
    free(part);
    if (st == STATUS_OK && !file_is_directory(path))
        st = err_set(e, STATUS_IO, "%s: there is a file of that name", path);
    return st;
}

/* ---- opening ----------------------------------------------------------------------------------------------- */

/* A line stays if its step is done at the position. */
static bool line_stays(void *user, const json_t *line)
{
    const struct trainer *t = user;

    return (size_t)json_integer_value(json_object_get(line, "step")) <= t->position.step;
}

static enum status check_newer(const struct trainer *t, struct err *e)
{
    const char *folder = t->config->output_dir;
    struct marks all;
    char name[NAME_SIZE];
    enum status st = marks_read(&all, folder, e);

    if (st == STATUS_OK && all.n > 0 && (t->position.step == 0 || is_before(mark_of(t), all.item[all.n - 1])))
        st = err_set(e, STATUS_BAD_ARGUMENT,
                     "%s: holds %s, which is newer than where the run goes on: resume that, move it away, or "
                     "name another folder",
                     folder, mark_name(all.item[all.n - 1], name));
    free(all.item);
    return st;
}

enum status run_files_open(struct trainer *t, struct err *e)
{
    const char *folder = t->config->output_dir;
    char *path = path_join(folder, LOG_NAME);
    enum status st = path != NULL ? folder_make(folder, e) : err_no_memory(e, folder);

    if (st == STATUS_OK && file_exists(path) && t->options.resume == NULL)
        st = err_set(e, STATUS_BAD_ARGUMENT,
                     "%s: holds a run already: go on with it (--resume %s), or name another folder", folder,
                     folder);
    if (st == STATUS_OK) st = journal_open(&t->log, path, e);
    free(path);
    if (st == STATUS_OK) st = clean(folder, e);
    if (st == STATUS_OK) st = check_newer(t, e);
    if (st == STATUS_OK) st = journal_keep(&t->log, line_stays, t, e);
    return st;
}

enum status run_files_find(char **checkpoint, const char *resume, struct err *e)
{
    char *state = path_join(resume, RUN_STATE_NAME), *log = path_join(resume, LOG_NAME), name[NAME_SIZE];
    enum status st = state != NULL && log != NULL ? STATUS_OK : err_no_memory(e, resume);
    struct marks all = { 0 };

    *checkpoint = NULL;
    if (st == STATUS_OK && file_exists(state)) {
        *checkpoint = strdup(resume);
        if (*checkpoint == NULL) st = err_no_memory(e, resume);
    } else if (st == STATUS_OK && !file_exists(log)) {
        st = err_set(e, STATUS_NOT_FOUND,
                     "%s: cannot be resumed: it is neither a checkpoint of a run (with " RUN_STATE_NAME
                     ") nor the folder of one (with " LOG_NAME ")",
                     resume);
    } else if (st == STATUS_OK) {
        st = marks_read(&all, resume, e);
        if (st == STATUS_OK && all.n > 0) {
            *checkpoint = path_join(resume, mark_name(all.item[all.n - 1], name));
            if (*checkpoint == NULL) st = err_no_memory(e, resume);
        }
    }
    free(all.item);
    free(state);
    free(log);
    return st;
}

/* ---- saving ------------------------------------------------------------------------------------------------ */

/* A name that no checkpoint has, so that one that is half removed is none. */
static void checkpoint_remove(const char *folder, struct mark m)
{
    char name[NAME_SIZE], gone[NAME_SIZE + 16], *from, *to;

    snprintf(gone, sizeof gone, "%s.tmp-old", mark_name(m, name));
    from = path_join(folder, name);
    to = path_join(folder, gone);
    if (from != NULL && to != NULL && rename(from, to) == 0) folder_remove(to);
    free(from);
    free(to);
}

static enum status remove_oldest(const struct trainer *t, struct err *e)
{
    struct marks all;
    enum status st = marks_read(&all, t->config->output_dir, e);

    for (size_t i = 0; st == STATUS_OK && t->config->keep > 0 && i + t->config->keep < all.n; i++)
        checkpoint_remove(t->config->output_dir, all.item[i]);
    free(all.item);
    return st;
}

static enum status draw(const struct trainer *t, struct err *e)
{
    char *svg = path_join(t->config->output_dir, "loss.svg");
    enum status st = svg != NULL ? run_plot_write(t->log.path, svg, e) : err_no_memory(e, "a picture");

    free(svg);
    return st;
}

enum status run_files_save(struct trainer *t, char **path, struct err *e)
{
    char name[NAME_SIZE];
    enum status st;

    *path = path_join(t->config->output_dir, mark_name(mark_of(t), name));
    st = *path != NULL ? t->kind->write(t, *path, e) : err_no_memory(e, "a checkpoint");
    if (st == STATUS_OK) st = draw(t, e);
    if (st == STATUS_OK) st = remove_oldest(t, e);
    if (st == STATUS_OK) return st;
    free(*path);
    *path = NULL;
    return st;
}

/* At most; those of steps and those of epochs may be the same. */
static double checkpoints_made(const struct trainer *t)
{
    const struct train_config *c = t->config;
    double left = (double)(t->n_steps - t->position.step), n = 1;

    if (c->save_every > 0) n += floor(left / (double)c->save_every);
    return n + floor(left / (double)t->epoch_steps / (double)c->save_interval);
}

enum status run_files_check_space(struct trainer *t, struct err *e)
{
    const struct train_config *c = t->config;
    double n = checkpoints_made(t), each, needed;
    uint64_t bytes, left;
    struct marks all;
    enum status st = t->kind->bytes(t, &bytes, e);

    if (st == STATUS_OK) st = file_space_left(c->output_dir, &left, e);
    if (st == STATUS_OK) st = marks_read(&all, c->output_dir, e);
    if (st != STATUS_OK) return st;
    /* One more than are kept while it is being written; those that are there already hold their space. */
    if (c->keep > 0 && n + (double)all.n > (double)c->keep + 1) n = (double)c->keep + 1 - (double)all.n;
    free(all.item);
    each = (double)bytes * (1 + 1.0 / 64); /* headers */
    needed = fmax(n, 1) * each;
    if (needed <= (double)left) return STATUS_OK;
    return err_set(
        e, STATUS_IO,
        "%s: %.3g checkpoints of %.3g MB will need %.3g GB, and %.3g GB are free: keep fewer, or write "
        "elsewhere",
        c->output_dir, fmax(n, 1), each / 1e6, needed / 1e9, (double)left / 1e9);
}
