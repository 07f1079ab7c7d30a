/*
 * fuzz_chat_request.c - any bytes as the body of a request for an answer: refused with a reason and a status, or an inquiry that is whole.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "serve/chat_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct request_rules rules = { .ask = sphinx_ask_options_default(),
                                   .seed_given = true,
                                   .max_tokens = 4096 };
    struct problem p = { 0 };
    struct chat_request r;

    rules.session.pixels_max = 1 << 20;
    if (!chat_request_read(&r, (const char *)data, size, &rules, &p)) {
        assert((p.status == 400 || p.status == 500) && p.message[0] != '\0');
        return 0;
    }
    assert(p.status == 0 && r.inquiry.question != NULL);
    assert(r.inquiry.ask.max_tokens > 0 && r.inquiry.ask.max_tokens <= 4096);
    assert((r.inquiry.image != NULL) == (r.inquiry.picture != NULL));
    for (size_t i = 0; i < r.inquiry.n_turns; i++)
        assert(r.inquiry.turns[i].question != NULL && r.inquiry.turns[i].answer != NULL);
    for (size_t i = 0; i < r.inquiry.ask.n_stop; i++) assert(r.inquiry.stops[i][0] != '\0');
    chat_request_free(&r);
    return 0;
}
