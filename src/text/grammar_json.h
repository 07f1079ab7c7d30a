/*
 * grammar_json.h - a JSON schema as a grammar: an answer that follows it is one line of JSON that the schema describes.
 *
 * Taken in: type (also a list of types), properties, required, additionalProperties, items, minItems, maxItems, minLength, maxLength, enum, const,
 * anyOf, oneOf (as anyOf: of several that fit, none is ruled out), allOf of one schema, $ref to "#", "#/$defs/..." or "#/definitions/...", true. Read
 * over: title, description, default, examples, deprecated, $schema, $id, $comment. All else is refused with a sentence that names it, minimum, maximum
 * and pattern among them, and so is what stands beside a keyword that says all ($ref, const, enum, anyOf, oneOf, allOf), but for the type of values:
 * an answer that only seems to follow the schema would be worse.
 *
 * Members stand in the order of "properties", no others are added; where there are none, an object has any members, or those that
 * additionalProperties describes. Without "type" the other keywords imply one. Numbers have at most 16 digits before the point and 16 behind it. Behind
 * "," and ":" may be one space.
 */
#ifndef SPHINX_TEXT_GRAMMAR_JSON_H
#define SPHINX_TEXT_GRAMMAR_JSON_H

#include <stddef.h>

#include "core/status.h"

/* *grammar is malloc'ed GBNF, for grammar_parse. BAD_ARGUMENT: not JSON, or no schema of this kind; NO_MEMORY. */
enum status grammar_from_schema(const char *schema, size_t size, char **grammar, struct err *e);

#endif
