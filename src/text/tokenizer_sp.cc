/* tokenizer_sp.cc - see tokenizer_sp.h. The only C++ file of the CPU build. */
#include "text/tokenizer_sp.h"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <new>
#include <string_view>
#include <vector>

#include <sentencepiece_processor.h>

struct sp_model {
    sentencepiece::SentencePieceProcessor processor;
};

enum status sp_open(struct sp_model **model, const unsigned char *data, size_t size, const char *name,
                    struct err *e)
{
    sp_model *m = nullptr;

    *model = nullptr;
    try {
        m = new sp_model;
        const auto st = m->processor.LoadFromSerializedProto(
            std::string_view(reinterpret_cast<const char *>(data), size));
        if (st.ok()) {
            *model = m;
            return STATUS_OK;
        }
        err_set(e, STATUS_BAD_FORMAT, "%s: SentencePiece refuses the tokenizer: %s", name,
                st.error_message());
    } catch (const std::bad_alloc &) {
        err_no_memory(e, "the tokenizer");
        delete m;
        return STATUS_NO_MEMORY;
    } catch (const std::exception &x) {
        err_set(e, STATUS_BAD_FORMAT, "%s: SentencePiece refuses the tokenizer: %s", name, x.what());
    }
    delete m;
    return STATUS_BAD_FORMAT;
}

void sp_close(struct sp_model *model)
{
    delete model;
}

size_t sp_vocab_size(const struct sp_model *model)
{
    return static_cast<size_t>(model->processor.GetPieceSize());
}

struct sp_ids sp_special_ids(const struct sp_model *model)
{
    return { model->processor.unk_id(), model->processor.bos_id(), model->processor.eos_id() };
}

enum status sp_encode(const struct sp_model *model, const char *text, size_t size, size_t room_before,
                      size_t room_after, int32_t **ids, size_t *n_ids, struct err *e)
{
    *ids = nullptr;
    *n_ids = 0;
    try {
        std::vector<int> found;
        const auto st = model->processor.Encode(std::string_view(text, size), &found);
        if (!st.ok()) return err_set(e, STATUS_BAD_FORMAT, "the tokenizer failed: %s", st.error_message());
        const size_t n = room_before + found.size() + room_after;
        auto *out = static_cast<int32_t *>(std::malloc(std::max<size_t>(n, 1) * sizeof(int32_t)));
        if (out == nullptr) return err_no_memory(e, "token ids");
        std::copy(found.begin(), found.end(), out + room_before);
        *ids = out;
        *n_ids = found.size();
        return STATUS_OK;
    } catch (const std::bad_alloc &) {
        return err_no_memory(e, "token ids");
    } catch (const std::exception &x) {
        return err_set(e, STATUS_BAD_FORMAT, "the tokenizer failed: %s", x.what());
    }
}

enum status sp_encode_spans(const struct sp_model *model, const char *text, size_t size, size_t room_before,
                            size_t room_after, int32_t **ids, struct span **spans, size_t *n_ids,
                            struct err *e)
{
    *ids = nullptr;
    *spans = nullptr;
    *n_ids = 0;
    try {
        const auto found = model->processor.EncodeAsImmutableProto(std::string_view(text, size));
        const size_t count = found.pieces_size(), n = std::max<size_t>(room_before + count + room_after, 1);
        auto *out = static_cast<int32_t *>(std::malloc(n * sizeof(int32_t)));
        auto *out_spans = static_cast<struct span *>(std::malloc(n * sizeof(struct span)));
        if (out == nullptr || out_spans == nullptr) {
            std::free(out);
            std::free(out_spans);
            return err_no_memory(e, "token ids");
        }
        for (size_t i = 0; i < count; i++) {
            const auto piece = found.pieces(static_cast<int>(i));
            out[room_before + i] = static_cast<int32_t>(piece.id());
            out_spans[room_before + i] = { piece.begin(), piece.end() };
        }
        *ids = out;
        *spans = out_spans;
        *n_ids = count;
        return STATUS_OK;
    } catch (const std::bad_alloc &) {
        return err_no_memory(e, "token ids");
    } catch (const std::exception &x) {
        return err_set(e, STATUS_BAD_FORMAT, "the tokenizer failed: %s", x.what());
    }
}
