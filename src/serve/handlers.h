/*
 * handlers.h - what the routes do, grouped in handle_*.c. Each leaves a reply in the exchange.
 */
#ifndef SPHINX_SERVE_HANDLERS_H
#define SPHINX_SERVE_HANDLERS_H

#include "serve/server.h"

/* handle_chat.c */
void handle_chat(struct exchange *x);
void handle_completions(struct exchange *x);

/* handle_about.c: the server and its model */
void handle_health(struct exchange *x);
void handle_props(struct exchange *x);
void handle_models(struct exchange *x);
void handle_model(struct exchange *x);
void handle_slots(struct exchange *x);
void handle_metrics(struct exchange *x);
void handle_openapi(struct exchange *x);

/* handle_text.c */
void handle_tokenize(struct exchange *x);
void handle_detokenize(struct exchange *x);
void handle_template(struct exchange *x);

/* handle_embeddings.c */
void handle_embeddings(struct exchange *x);

/* handle_ground.c */
void handle_ground(struct exchange *x);

/* handle_attention.c */
void handle_attention(struct exchange *x);

/* handle_image.c */
void handle_image(struct exchange *x);

/* web_files.c */
void handle_web(struct exchange *x);

#endif
