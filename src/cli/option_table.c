/* option_table.c - the rows of options.h. */
#include "cli/commands.h"
#include "cli/options.h"

const struct command_row command_rows[COMMAND_COUNT] = {
    [COMMAND_RUN] = { "run", "", 0, 0, "answer one question, about an image or without one", cmd_run },
    [COMMAND_CHAT] = { "chat", "", 0, 0, "hold a conversation in the terminal", cmd_chat },
    [COMMAND_TOKENIZE] = { "tokenize", "", 0, 0, "print the token ids of standard input", cmd_tokenize },
    [COMMAND_INSPECT] = { "inspect", "MODEL...", 0, 64, "show what is in a model and whether it is complete",
                          cmd_inspect },
    [COMMAND_DUMP] = { "dump", "", 0, 0, "write named intermediates of a question as safetensors", cmd_dump },
    [COMMAND_INIT] = { "init", "OUT", 1, 1, "write a checkpoint of random weights", cmd_init },
    [COMMAND_CONVERT] = { "convert", "IN... OUT", 2, 64,
                          "write a model in another format or in other types: .pth, safetensors, GGUF",
                          cmd_convert },
    [COMMAND_HELP] = { "help", "[COMMAND]", 0, 1, "explain a command", cmd_help },
    [COMMAND_SERVE] = { "serve", "", 0, 0, "web demo and OpenAI-compatible API", NULL },
    [COMMAND_EVAL] = { "eval", "", 0, 0, "benchmarks", NULL },
    [COMMAND_TRAIN] = { "train", "", 0, 0, "pre-training and fine-tuning", NULL },
    [COMMAND_MIX] = { "mix", "", 0, 0, "domain mix of weights", NULL },
    [COMMAND_SEGMENT] = { "segment", "", 0, 0, "SAM masks", NULL },
    [COMMAND_BENCH] = { "bench", "", 0, 0, "measure the machine, the encoders, prefill and decoding",
                        cmd_bench },
};

const char *const option_group_names[GROUP_COUNT] = {
    [GROUP_MODEL] = "Model",
    [GROUP_INPUT] = "Input",
    [GROUP_ANSWER] = "Answer",
    [GROUP_MEASURE] = "Measurement",
    [GROUP_OUTPUT] = "Output",
    [GROUP_CACHES] = "Caches",
    [GROUP_GUESSES] = "Guessing ahead",
    [GROUP_MACHINE] = "Machine",
};

#define BIT(command) (1u << COMMAND_##command)
#define ASKS         (BIT(RUN) | BIT(CHAT))                                         /* ask for an answer */
#define OPENS        (ASKS | BIT(TOKENIZE) | BIT(INSPECT) | BIT(DUMP) | BIT(BENCH)) /* open a model */
#define COMPUTES     (ASKS | BIT(DUMP) | BIT(BENCH))                                /* compute with one */
#define SESSIONS     (ASKS | BIT(DUMP))           /* and hold a conversation */
#define WRITES       (BIT(INIT) | BIT(CONVERT))   /* write a model */
#define REAL         (OPENS | WRITES | BIT(HELP)) /* are there at all */
#define AT(field)    offsetof(struct settings, field)

/* What int and float options may be at most; the library knows the model's own limits. */
#define MANY      1e9
#define BYTES_MAX 1e15

const struct option option_rows[] = {
    { "-m --model", "--pretrained_path", OPTION_LIST, AT(models), "MODEL", NULL, 0, 0, OPENS, GROUP_MODEL,
      "checkpoint, a directory in upstream's layout or of safetensors, or a .gguf file; given several times "
      "(or "
      "separated by commas) the later ones replace or, as diffs, are added; without it the bundled model "
      "answers" },
    { "--llama-type", "--llama_type", OPTION_TEXT, AT(model.llama_type), "TYPE", NULL, 0, 0, OPENS | WRITES,
      GROUP_MODEL,
      "variant, where meta.json is missing or wrong: llama_ens, llama_ens5, llama_ens_light, "
      "mixtral_sparse_ens, ..." },
    { "--config", "--llama_config", OPTION_TEXT, AT(model.config_path), "FILE", NULL, 0, 0, OPENS | WRITES,
      GROUP_MODEL, "sizes of the model, instead of its config.json" },
    { "--tokenizer", "--tokenizer_path", OPTION_TEXT, AT(model.tokenizer_path), "FILE", NULL, 0, 0,
      OPENS | WRITES, GROUP_MODEL, "SentencePiece file, instead of the model's tokenizer.model" },
    { "-c --ctx-size", "--max_seq_len", OPTION_INT, AT(model.context), "N", NULL, 0, MANY, COMPUTES,
      GROUP_MODEL, "positions of the context, image words included; 0: 4096" },
    { "--without", "", OPTION_SET, AT(session.without), "LIST", "clip convnext dinov2 qformer", 0, 0,
      SESSIONS, GROUP_MODEL, "switch encoders off, separated by commas: their features are zero" },
    { "--clip-exact-gelu", "", OPTION_ON, AT(model.clip_exact_gelu), NULL, NULL, 0, 0, COMPUTES, GROUP_MODEL,
      "GELU instead of QuickGELU in CLIP, as upstream's inference (not its training) has it" },
    { "--precise", "", OPTION_ON, AT(model.precise), NULL, NULL, 0, 0, COMPUTES, GROUP_MODEL,
      "never round activations to 16 bits" },
    { "--type", "", OPTION_CHOICE, AT(weight_type), "TYPE", "bf16 f16 f32", 0, 0, BIT(INIT), GROUP_MODEL,
      "type of the weights" },
    { "--type", "", OPTION_CHOICE, AT(convert_type), "TYPE", "q4_0 q4_K q6_K q8_0 bf16 f16 f32 q4_k q6_k", 0,
      0, BIT(CONVERT), GROUP_MODEL,
      "type of the language model's matrices; others get the like or better; without it all types stay" },
    { "--tensor-type", "", OPTION_LIST, AT(tensor_types), "PATTERN=TYPE", NULL, 0, 0, BIT(CONVERT),
      GROUP_MODEL,
      "another type for weights whose names match, such as 'layers.0.*=q8_0'; may be repeated, the last that "
      "matches counts" },
    { "--text-only", "--llm-only", OPTION_ON, AT(text_only), NULL, NULL, 0, 0, BIT(CONVERT), GROUP_MODEL,
      "only the language model; as .gguf it is what llama.cpp runs" },
    { "--shards", "", OPTION_INT, AT(shards), "N", NULL, 1, 99, WRITES, GROUP_MODEL,
      "files to divide the weights over" },

    { "-i --image", "", OPTION_TEXT, AT(image), "FILE", NULL, 0, 0, SESSIONS, GROUP_INPUT,
      "image to look at: JPEG, PNG, WebP, BMP, GIF or PNM; - is standard input" },
    { "-p --prompt", "", OPTION_TEXT, AT(prompt), "TEXT", NULL, 0, 0, BIT(RUN) | BIT(DUMP), GROUP_INPUT,
      "the question; - reads standard input" },
    { "-f --file", "", OPTION_TEXT, AT(prompt_file), "FILE", NULL, 0, 0, BIT(RUN) | BIT(DUMP), GROUP_INPUT,
      "read the question from a file, less a line feed at its end" },
    { "--system", "", OPTION_TEXT, AT(session.system), "TEXT", NULL, 0, 0, SESSIONS, GROUP_INPUT,
      "instead of the system sentence that the models were trained with" },
    { "--exif", "", OPTION_ON, AT(session.apply_exif), NULL, NULL, 0, 0, SESSIONS, GROUP_INPUT,
      "turn photographs as their EXIF data says; upstream does not" },
    { "--pixels-max", "", OPTION_SIZE, AT(session.pixels_max), "N", NULL, 0, 4e9, SESSIONS, GROUP_INPUT,
      "refuse larger images; 0: 67108864" },
    { "--bos", "", OPTION_ON, AT(bos), NULL, NULL, 0, 0, BIT(TOKENIZE), GROUP_INPUT,
      "begin with the begin-of-sentence id" },
    { "--decode", "", OPTION_ON, AT(decode), NULL, NULL, 0, 0, BIT(TOKENIZE), GROUP_INPUT,
      "the way back: standard input holds ids, print their text" },

    { "-n --predict", "--n-predict --max_gen_len", OPTION_INT, AT(ask.max_tokens), "N", NULL, -1, MANY, ASKS,
      GROUP_ANSWER, "longest answer in tokens; -1: as long as the context allows" },
    { "--temp", "--temperature", OPTION_FLOAT, AT(ask.temperature), "T", NULL, 0, 100, ASKS, GROUP_ANSWER,
      "temperature; 0: always the likeliest token" },
    { "--top-p", "--top_p", OPTION_FLOAT, AT(ask.top_p), "P", NULL, 0, 1, ASKS, GROUP_ANSWER,
      "draw from the likeliest tokens that together hold this probability; 1: off" },
    { "--top-k", "--top_k", OPTION_INT, AT(ask.top_k), "N", NULL, 0, MANY, ASKS, GROUP_ANSWER,
      "draw from the N likeliest tokens; 0: off" },
    { "--min-p", "", OPTION_FLOAT, AT(ask.min_p), "P", NULL, 0, 1, ASKS, GROUP_ANSWER,
      "drop tokens less likely than P times the likeliest; 0: off" },
    { "--repeat-penalty", "", OPTION_FLOAT, AT(ask.repeat_penalty), "X", NULL, 0.01, 100, ASKS, GROUP_ANSWER,
      "make tokens that were used before less likely; 1: off" },
    { "--repeat-last-n", "", OPTION_INT, AT(ask.repeat_last_n), "N", NULL, -1, MANY, ASKS, GROUP_ANSWER,
      "tokens that the penalty looks back at; -1: all" },
    { "-s --seed", "", OPTION_SEED, AT(ask.seed), "N", NULL, 0, 0, ASKS | BIT(INIT), GROUP_ANSWER,
      "of the random numbers: the same seed gives the same result; -1: draw one" },
    { "--stop", "-r --reverse-prompt", OPTION_LIST, AT(stops), "TEXT", NULL, 0, 0, ASKS, GROUP_ANSWER,
      "a text that ends the answer; may be repeated" },
    { "--ignore-eos", "", OPTION_ON, AT(ask.ignore_eos), NULL, NULL, 0, 0, ASKS, GROUP_ANSWER,
      "go on to the longest answer: for measurements" },

    { "--prefill", "-p", OPTION_LIST, AT(prefill), "N,N", NULL, 0, 0, BIT(BENCH), GROUP_MEASURE,
      "lengths of prompts to measure, in positions; without it an image's words and a short question" },
    { "--tokens", "-n", OPTION_INT, AT(tokens), "N", NULL, 0, MANY, BIT(BENCH), GROUP_MEASURE,
      "tokens to decode in a run; 0: none" },
    { "--sequences", "", OPTION_INT, AT(sequences), "N", NULL, 1, 4096, BIT(BENCH), GROUP_MEASURE,
      "sequences to decode at once, besides one alone; 1: leave that out" },
    { "--runs", "", OPTION_INT, AT(runs), "N", NULL, 1, 101, BIT(BENCH), GROUP_MEASURE,
      "runs of each part, of which the median counts" },
    { "--no-image", "", OPTION_ON, AT(no_image), NULL, NULL, 0, 0, BIT(BENCH), GROUP_MEASURE,
      "leave the encoders out" },

    { "--json", "", OPTION_ON, AT(json), NULL, NULL, 0, 0, BIT(RUN) | BIT(INSPECT) | BIT(BENCH), GROUP_OUTPUT,
      "print one JSON object" },
    { "--draw", "", OPTION_TEXT, AT(draw), "FILE", NULL, 0, 0, BIT(RUN), GROUP_OUTPUT,
      "draw the answer's boxes, points and skeletons on the image, as PNG" },
    { "--labels", "", OPTION_ON, AT(labels), NULL, NULL, 0, 0, ASKS, GROUP_OUTPUT,
      "draw the phrases beside what they name, the default" },
    { "--no-labels", "", OPTION_OFF, AT(labels), NULL, NULL, 0, 0, ASKS, GROUP_OUTPUT,
      "draw without the phrases, as upstream's demo does" },
    { "-o --output", "", OPTION_TEXT, AT(output), "FILE", NULL, 0, 0, BIT(DUMP), GROUP_OUTPUT,
      "safetensors file to write" },
    { "--all", "", OPTION_ON, AT(all), NULL, NULL, 0, 0, BIT(DUMP), GROUP_OUTPUT,
      "every named intermediate, each layer's included" },
    { "--safetensors", "", OPTION_ON, AT(safetensors), NULL, NULL, 0, 0, WRITES, GROUP_OUTPUT,
      "write safetensors instead of upstream's .pth" },
    { "--tensors", "", OPTION_ON, AT(tensors), NULL, NULL, 0, 0, BIT(INSPECT), GROUP_OUTPUT,
      "list every tensor" },
    { "--check", "", OPTION_ON, AT(check), NULL, NULL, 0, 0, BIT(INSPECT), GROUP_OUTPUT,
      "read everything: compare checksums, look for values that are not numbers" },
    { "--list", "", OPTION_ON, AT(list), NULL, NULL, 0, 0, BIT(HELP), GROUP_OUTPUT,
      "print commands and options for programs, one a line" },
    { "-v --verbose", "", OPTION_ON, AT(verbose), NULL, NULL, 0, 0, COMPUTES, GROUP_OUTPUT,
      "say what is used, and how long everything took" },
    { "-q --quiet", "", OPTION_ON, AT(quiet), NULL, NULL, 0, 0, REAL & ~BIT(HELP), GROUP_OUTPUT,
      "no progress, notes and warnings" },
    { "-h --help", "", OPTION_ON, AT(help), NULL, NULL, 0, 0, REAL, GROUP_OUTPUT, "show this help" },
    { "--version", "", OPTION_ON, AT(version), NULL, NULL, 0, 0, REAL, GROUP_OUTPUT, "show the version" },

    { "--image-cache", "", OPTION_TEXT, AT(model.image_cache), "DIR", NULL, 0, 0, ASKS, GROUP_CACHES,
      "keep what the encoders made of an image in this folder, so that it is not encoded again" },
    { "--image-cache-size", "", OPTION_SIZE, AT(image_cache_size), "BYTES", NULL, 1, BYTES_MAX, ASKS,
      GROUP_CACHES, "what that folder may hold; what was unused longest is removed; 4 GiB unless given" },
    { "--prompt-cache", "", OPTION_TEXT, AT(prompt_cache), "FILE", NULL, 0, 0, ASKS, GROUP_CACHES,
      "go on from the session in this file, if it is there, image included, and save it there at the end" },
    { "--prompt-cache-ro", "", OPTION_ON, AT(prompt_cache_ro), NULL, NULL, 0, 0, ASKS, GROUP_CACHES,
      "read the prompt cache, but do not write it" },
    { "--prefix-cache", "", OPTION_SIZE, AT(prefix_cache), "BYTES", NULL, 0, BYTES_MAX, BIT(CHAT),
      GROUP_CACHES,
      "memory for images and conversations that were left, for when they come back; 0: none; an eighth of "
      "the "
      "memory, at most 1 GiB, unless given" },

    { "--lookup", "", OPTION_INT, AT(ask.lookup), "N", NULL, 0, 16, ASKS, GROUP_GUESSES,
      "guess up to N tokens from what the prompt and the answer hold already; 0: off" },
    { "-md --draft", "--model-draft", OPTION_LIST, AT(drafts), "MODEL", NULL, 0, 0, ASKS, GROUP_GUESSES,
      "smaller model with the same vocabulary that guesses tokens; given like --model" },
    { "--draft-max", "", OPTION_INT, AT(ask.draft_max), "N", NULL, 0, 16, ASKS, GROUP_GUESSES,
      "tokens that it guesses at a time" },
    { "--draft-min", "", OPTION_INT, AT(ask.draft_min), "N", NULL, 0, 16, ASKS, GROUP_GUESSES,
      "do not check fewer than N of them" },
    { "--draft-p-min", "", OPTION_FLOAT, AT(ask.draft_p_min), "P", NULL, 0, 1, ASKS, GROUP_GUESSES,
      "it goes on while its tokens are at least so probable to it" },

    { "-t --threads", "", OPTION_INT, AT(model.threads), "N", NULL, 0, 4096, COMPUTES | BIT(CONVERT),
      GROUP_MACHINE, "threads to compute with; 0: one per processor" },
    { "--cpu", "", OPTION_CHOICE, AT(model.cpu), "LEVEL", "auto portable avx2 avx512 avx512vnni amx", 0, 0,
      COMPUTES, GROUP_MACHINE, "instruction level; auto: the best that the processor has" },
    { "-ub --ubatch-size", "", OPTION_INT, AT(model.chunk), "N", NULL, 0, MANY, SESSIONS, GROUP_MACHINE,
      "positions of a prompt that are computed at once, 33 or more; 0: 2048" },
    { "-ctk --cache-type-k", "", OPTION_CHOICE, AT(kv_keys), "TYPE", "f32 f16 bf16 q8_0", 0, 0, COMPUTES,
      GROUP_MACHINE, "type of the cached keys: f32 for float32 weights, else f16, unless given" },
    { "-ctv --cache-type-v", "", OPTION_CHOICE, AT(kv_values), "TYPE", "f32 f16 bf16 q8_0", 0, 0, SESSIONS,
      GROUP_MACHINE, "type of the cached values: that of the keys" },
};

const size_t option_count = sizeof option_rows / sizeof option_rows[0];
