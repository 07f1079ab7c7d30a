/* run_adapter.c - see run_adapter.h. */
#include "train/run_adapter.h"

#include <stdlib.h>

#include "core/file.h"
#include "core/folder.h"
#include "model/adapter_file.h"
#include "train/run_state.h"

uint64_t run_adapter_bytes(const struct trainer *t)
{
    return run_state_bytes(t) + (uint64_t)t->trainees.n_numbers * sizeof(float);
}

static enum status adapter_save(struct trainer *t, const char *folder, struct err *e)
{
    const struct trainees *all = &t->trainees;
    struct adapter_tensor *tensors = calloc(all->n, sizeof *tensors);
    char *path = path_join(folder, ADAPTER_FILE_NAME);
    enum status st = STATUS_OK;

    if (tensors == NULL || path == NULL) st = err_no_memory(e, "a checkpoint");
    for (size_t i = 0; i < all->n && st == STATUS_OK; i++) {
        const struct trainee *x = &all->item[i];

        tensors[i] = (struct adapter_tensor){ x->name, x->n_dims, x->dim, x->master };
    }
    if (st == STATUS_OK) st = adapter_write(path, &t->network, tensors, all->n, e);
    free(tensors);
    free(path);
    return st;
}

enum status run_adapter_write(struct trainer *t, const char *folder, struct err *e)
{
    struct folder_writer w = { NULL, NULL };
    enum status st = folder_writer_open(&w, folder, e);

    if (st != STATUS_OK) return st;
    st = adapter_save(t, w.path_temporary, e);
    if (st == STATUS_OK) st = run_state_write(t, w.path_temporary, e);
    if (st == STATUS_OK) return folder_writer_commit(&w, e);
    folder_writer_abort(&w);
    return st;
}
