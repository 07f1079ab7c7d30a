/* fuzz_mask_data.c - any bytes as a file of masks to learn from: refused with a reason, or pictures that each have masks within them. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "fuzz/files.h"
#include "train/mask_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char config[] = "META:\n  - path: m.json\n";
    struct mask_data d;
    struct err e = { 0 };

    fuzz_put("m.json", data, size);
    fuzz_put("c.yaml", config, sizeof config - 1);
    if (mask_data_open(&d, fuzz_path("c.yaml"), &e) != STATUS_OK) {
        assert(e.text[0] != '\0' && d.pictures == NULL);
        return 0;
    }
    assert(d.n > 0);
    for (size_t i = 0; i < d.n; i++) {
        const struct mask_picture *p = &d.pictures[i];

        assert(p->n > 0 && p->width > 0 && p->height > 0);
        for (size_t k = 0; k < p->n; k++) {
            const double *b = p->masks[k].box;

            assert(b[0] >= 0 && b[0] < b[2] && b[2] <= p->width && b[1] >= 0 && b[1] < b[3] &&
                   b[3] <= p->height);
            assert(p->masks[k].counts != NULL);
        }
    }
    mask_data_close(&d);
    return 0;
}
